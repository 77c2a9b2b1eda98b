"""What samples are said to say, and what they are not said to say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.stats import median_interval, paired_ratio, percentile_bound, ratio, summarize

SAMPLES = st.lists(st.integers(min_value=1, max_value=10**12), min_size=1, max_size=80)


@pytest.mark.parametrize(("percentile", "least"), [(0.90, 64), (0.95, 130), (0.97, 219), (0.99, 662)])
def test_a_percentile_needs_as_many_samples_as_mlperf_asks_for(percentile: float, least: int) -> None:
    """The counts of LoadGen's early-stopping rule at 99 %; with them the slowest sample is the bound."""
    samples = list(range(least))
    assert percentile_bound(samples[:-1], percentile) is None
    assert percentile_bound(samples, percentile) == least - 1


def test_a_percentile_comes_closer_with_more_samples() -> None:
    """The bound lies above the true percentile, and less so the more is known."""
    few, many = (percentile_bound(range(count), 0.9) for count in (200, 20_000))
    assert few is not None
    assert many is not None
    assert 0.9 < many / 20_000 < 0.906 < few / 200


def test_the_bound_holds_as_often_as_it_says() -> None:
    """Of 300 experiments, hardly any has its true p90 above the bound."""
    random = np.random.default_rng(7)
    bounds = [percentile_bound(random.integers(0, 10**6, 100), 0.9) for _ in range(300)]
    assert sum(bound is not None and bound < 900_000 for bound in bounds) <= 8


@pytest.mark.parametrize(
    ("processes", "count", "apart"), [(1, 600, 0.0), (3, 200, 0.03), (5, 200, 0.0), (5, 200, 0.03)]
)
def test_the_interval_holds_as_often_as_it_says(processes: int, count: int, apart: float) -> None:
    """Skewed samples that resemble their neighbours, in processes that differ or not: 95 % intervals miss rarely."""
    random = np.random.default_rng(3)
    truth = float(np.median(skewed(random, 4000, 100, apart)))
    hits = 0
    for _ in range(200):
        interval = median_interval(skewed(random, processes, count, apart).tolist())
        assert interval is not None
        hits += interval.low_ns <= truth <= interval.high_ns
    assert hits >= 180


def skewed(random: np.random.Generator, processes: int, count: int, apart: float) -> np.ndarray:
    """Samples in nanoseconds, a row for each process: a floor, and above it a log-normal AR(1) process."""
    shocks = random.standard_normal((processes, count + 30))
    for step in range(1, shocks.shape[1]):
        shocks[:, step] = 0.8 * shocks[:, step - 1] + 0.6 * shocks[:, step]
    factor = np.exp(apart * random.standard_normal((processes, 1)))
    return (1e6 * factor * (1 + 0.1 * np.exp(shocks[:, 30:]))).astype(np.int64)


def test_neighbours_that_resemble_each_other_widen_the_interval() -> None:
    """A slow drift is not averaged away: the interval is wider than that of the same samples shuffled."""
    drift = (1e6 + 1e4 * np.sin(np.linspace(0, 6, 1000))).astype(int)
    shuffled = np.random.default_rng(0).permutation(drift)
    of_drift, of_shuffled = (summarize([values.tolist()]).precision for values in (drift, shuffled))
    assert of_drift is not None
    assert of_shuffled is not None
    assert of_drift > 2 * of_shuffled


def test_processes_that_differ_widen_the_interval() -> None:
    """Three processes of which each is exact, 1 % apart: the interval spans them."""
    found = summarize([[1_000_000] * 50, [1_010_000] * 50, [1_020_000] * 50])
    assert found.median_ci is not None
    assert found.median_ci.low_ns < 1_000_000
    assert found.median_ci.high_ns > 1_020_000
    assert found.between_processes == pytest.approx(0.0198, rel=1e-3)
    assert found.within_processes == 0


@given(st.lists(SAMPLES, min_size=1, max_size=4))
def test_the_figures_are_in_order(repetitions: list[list[int]]) -> None:
    """Whatever was measured: minimum, interval, median, percentiles and maximum do not cross."""
    found = summarize(repetitions)
    assert found.min_ns <= found.median_ns <= found.max_ns
    ci = found.median_ci
    assert ci is None or ci.low_ns <= found.median_ns * (1 + 1e-12) <= ci.high_ns * (1 + 2e-12)
    assert found.count == sum(map(len, repetitions))
    assert found.p90_ns is None or found.median_ns <= found.p90_ns <= found.max_ns
    assert summarize(repetitions) == found


def test_one_sample_is_its_own_median_and_nothing_more() -> None:
    """No interval, no percentile, no spread between processes."""
    found = summarize([[42]])
    assert found.median_ns == 42
    assert (found.median_ci, found.precision, found.between_processes) == (None, None, None)
    assert (found.p90_ns, found.p95_ns, found.p99_ns) == (None, None, None)


def test_a_ratio_of_runs_holds_as_often_as_it_says() -> None:
    """Two runs of the same thing, whose processes differ: the interval leaves 1 out rarely."""
    random = np.random.default_rng(5)
    found = [ratio(*(skewed(random, 5, 60, 0.03).tolist() for _ in range(2))) for _ in range(200)]
    assert sum(item is not None and item.low <= 1 <= item.high for item in found) >= 180


def test_a_ratio_says_by_how_much() -> None:
    """A run that is 10 % slower than one of the same spread is told as that."""
    base = [[1_000_000, 1_001_000 + step, 1_002_000] for step in range(5)]
    found = ratio(base, [[int(1.1 * sample) for sample in samples] for samples in base])
    assert found is not None
    assert found.low <= 1.1 <= found.high
    assert found.value == pytest.approx(1.1, rel=1e-3)


def test_a_ratio_needs_two_processes_on_either_side() -> None:
    """One process does not show how much processes differ."""
    assert ratio([[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]) is None
    assert paired_ratio([[1, 2]] * 5, [[1, 2]] * 5) is None


def test_what_happened_to_both_of_a_pair_cancels() -> None:
    """Processes that differ by half, each with a partner 2 % slower: the ratio is known to a tenth of that."""
    random = np.random.default_rng(1)
    base = [[int(1e6 * random.uniform(1, 1.5))] for _ in range(10)]
    found = paired_ratio(base, [[int(item[0] * random.normal(1.02, 0.001))] for item in base])
    assert found is not None
    assert 1.018 < found.low < found.value < found.high < 1.022


def test_two_disturbed_pairs_of_ten_do_not_move_the_ratio() -> None:
    """A process in which the machine stalled counts as one of ten, however long it stalled."""
    base = [[1_000_000 + step] for step in range(10)]
    new = [[int(1.05 * item[0])] for item in base[:8]] + [[9_000_000], [9_000_000]]
    found = paired_ratio(base, new)
    assert found is not None
    assert found.value == pytest.approx(1.05, rel=1e-3)


def test_a_paired_ratio_holds_as_often_as_it_says() -> None:
    """Heavy-tailed differences without a true one: the 95 % interval leaves 1 out rarely."""
    random = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        found = paired_ratio([[10**6]] * 8, [[int(1e6 * np.exp(0.02 * step))] for step in random.standard_t(2, 8)])
        assert found is not None
        hits += found.low <= 1 <= found.high
    assert hits >= 275


def test_what_is_far_out_is_counted_and_kept() -> None:
    """A stall shows in the count, in the mean and in the maximum."""
    found = summarize([[*range(1000, 1100), 50_000]])
    assert found.outliers == 1
    assert found.max_ns == 50_000
