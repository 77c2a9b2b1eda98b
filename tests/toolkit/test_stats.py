"""What samples are said to say, and what they are not said to say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.stats import median_interval, percentile_bound, summarize

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


def test_the_interval_holds_as_often_as_it_says() -> None:
    """Independent samples with a median that is known: 95 % intervals miss it rarely."""
    random = np.random.default_rng(3)
    hits = 0
    for _ in range(100):
        interval = median_interval([random.normal(1e6, 1e4, 200).astype(int).tolist() for _ in range(3)])
        hits += interval.low_ns <= 1e6 <= interval.high_ns
    assert hits >= 90


def test_neighbours_that_resemble_each_other_widen_the_interval() -> None:
    """A slow drift is not averaged away: the interval is wider than that of the same samples shuffled."""
    drift = (1e6 + 1e4 * np.sin(np.linspace(0, 6, 1000))).astype(int)
    shuffled = np.random.default_rng(0).permutation(drift)
    of_drift, of_shuffled = (median_interval([values.tolist()]) for values in (drift, shuffled))
    assert of_drift.high_ns - of_drift.low_ns > 2 * (of_shuffled.high_ns - of_shuffled.low_ns)


def test_processes_that_differ_widen_the_interval() -> None:
    """Three processes of which each is exact, 1 % apart: the interval spans them."""
    interval = median_interval([[1_000_000] * 50, [1_010_000] * 50, [1_020_000] * 50])
    assert (interval.low_ns, interval.high_ns) == (1_000_000, 1_020_000)
    assert summarize([[1_000_000] * 50, [1_010_000] * 50]).between_processes == pytest.approx(0.00995, rel=1e-3)


@given(st.lists(SAMPLES, min_size=1, max_size=4))
def test_the_figures_are_in_order(repetitions: list[list[int]]) -> None:
    """Whatever was measured: minimum, interval, median, percentiles and maximum do not cross."""
    found = summarize(repetitions)
    assert found.min_ns <= found.median_ci.low_ns <= found.median_ns <= found.median_ci.high_ns <= found.max_ns
    assert found.count == sum(map(len, repetitions))
    assert found.p90_ns is None or found.median_ns <= found.p90_ns <= found.max_ns
    assert summarize(repetitions) == found


def test_one_sample_is_its_own_median_and_nothing_more() -> None:
    """No percentile, no spread between processes, an interval of one point."""
    found = summarize([[42]])
    assert (found.median_ns, found.median_ci.low_ns, found.median_ci.high_ns) == (42, 42, 42)
    assert (found.p90_ns, found.p95_ns, found.p99_ns, found.between_processes) == (None, None, None, None)


def test_what_is_far_out_is_counted_and_kept() -> None:
    """A stall shows in the count, in the mean and in the maximum."""
    found = summarize([[*range(1000, 1100), 50_000]])
    assert found.outliers == 1
    assert found.max_ns == 50_000
