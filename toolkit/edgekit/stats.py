"""What samples say, and how surely: medians with confidence intervals, percentiles that the samples can support.

Samples come in repetitions: one fresh process each, its inferences in order. Neighbours in a process resemble each
other (clock, caches), and processes differ by more than their samples do (memory layout, page cache), so an interval
that takes all samples for independent is far too narrow. No sample is ever dropped.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.int64]"

RESAMPLES: Final = 1000
"""Bootstrap resamples; Efron and Tibshirani (1993, ch. 14) ask for 1000 where percentile intervals are taken."""

MOST_BLOCKS: Final = 100
"""Blocks a repetition is cut into at most: longer blocks keep longer correlations and cost less."""

_BINS: Final = 2048
"""Values that a resampled median can take at most; quantiles of all samples, so a step is 0.05 % of them."""

_FAR_OUT: Final = 3.0
"""Interquartile ranges above the third quartile beyond which a sample is far out (Tukey 1977)."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A confidence interval, nanoseconds; `confidence` is its level, 0 to 1."""

    low_ns: float
    high_ns: float
    confidence: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All samples of a run in figures, nanoseconds.

    Attributes:
        count: Samples of all processes.
        processes: Fresh processes they come from.
        median_ns: Of all samples.
        median_ci: Its interval (see `median_interval`).
        mean_ns: Of all samples.
        min_ns: The fastest.
        max_ns: The slowest.
        p90_ns: 90th percentile, an upper bound at 99 % (see `percentile_bound`); None when there are too few samples.
        p95_ns: 95th percentile, as above.
        p99_ns: 99th percentile, as above.
        outliers: Samples more than three interquartile ranges above the third quartile; all are in the figures.
        between_processes: How far the medians of the processes lie apart, (largest - smallest) / median; None for one.
    """

    count: int
    processes: int
    median_ns: float
    median_ci: Interval
    mean_ns: float
    min_ns: int
    max_ns: int
    p90_ns: int | None
    p95_ns: int | None
    p99_ns: int | None
    outliers: int
    between_processes: float | None


def summarize(repetitions: Sequence[Sequence[int]]) -> Summary:
    """Summarize a run's samples.

    Args:
        repetitions: For each process its samples in order, nanoseconds; at least one sample in each.
    """
    import numpy as np

    pooled = np.concatenate([np.asarray(samples, np.int64) for samples in repetitions])
    first, third = np.quantile(pooled, [0.25, 0.75])
    return Summary(
        count=int(pooled.size),
        processes=len(repetitions),
        median_ns=float(np.median(pooled)),
        median_ci=median_interval(repetitions),
        mean_ns=float(pooled.mean()),
        min_ns=int(pooled.min()),
        max_ns=int(pooled.max()),
        p90_ns=percentile_bound(pooled, 0.90),
        p95_ns=percentile_bound(pooled, 0.95),
        p99_ns=percentile_bound(pooled, 0.99),
        outliers=int((pooled > third + _FAR_OUT * (third - first)).sum()),
        between_processes=_between(repetitions),
    )


def _between(repetitions: Sequence[Sequence[int]]) -> float | None:
    import numpy as np

    if len(repetitions) == 1:
        return None
    medians = [float(np.median(samples)) for samples in repetitions]
    return (max(medians) - min(medians)) / float(np.median(medians))


def median_interval(repetitions: Sequence[Sequence[int]], *, confidence: float = 0.95) -> Interval:
    """The median's interval by a two-level block bootstrap: processes are drawn, then blocks of their samples.

    A block holds neighbours, at least the cube root of the process's samples (Hall, Horowitz and Jing 1995), so that
    what they share stays together. The same samples always give the same interval.

    Args:
        repetitions: For each process its samples in order, nanoseconds.
        confidence: The interval's level, 0 to 1.
    """
    import numpy as np

    pooled = np.concatenate([np.asarray(samples, np.int64) for samples in repetitions])
    values = np.unique(np.quantile(pooled, np.linspace(0, 1, _BINS), method="inverted_cdf"))
    blocks = [_block_histograms(np.asarray(samples, np.int64), values) for samples in repetitions]
    counts = _draw([len(item) for item in blocks]) @ np.concatenate(blocks)
    below = np.cumsum(counts, axis=1)
    medians = values[(below >= below[:, -1:] / 2).argmax(axis=1)]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(medians, [tail, 100 - tail])
    middle = float(np.median(pooled))
    return Interval(low_ns=min(float(low), middle), high_ns=max(float(high), middle), confidence=confidence)


def _block_histograms(samples: Samples, values: Samples) -> "NDArray[np.float32]":
    """How often each value occurs in each block; a sample between two values counts for the upper one."""
    import numpy as np

    length = max(int(np.ceil(len(samples) ** (1 / 3))), int(np.ceil(len(samples) / MOST_BLOCKS)))
    block = np.arange(len(samples)) // length
    histograms = np.zeros((block[-1] + 1, len(values)), np.float32)
    np.add.at(histograms, (block, np.searchsorted(values, samples)), 1)
    return histograms


def _draw(sizes: Sequence[int]) -> "NDArray[np.float32]":
    """How often each block is drawn in each resample; shape (resamples, blocks of all processes)."""
    import numpy as np

    random = np.random.default_rng(0)
    processes = len(sizes)
    times = random.multinomial(processes, np.full(processes, 1 / processes), RESAMPLES)
    drawn = [
        random.multinomial(times[:, index] * size, np.full(size, 1 / size)) for index, size in enumerate(sizes)
    ]  # fmt: skip
    return np.concatenate(drawn, axis=1).astype(np.float32)


def percentile_bound(samples: "Sequence[int] | Samples", percentile: float, *, confidence: float = 0.99) -> int | None:
    """A latency that the percentile is below, at this confidence; None when the samples are too few to say.

    The early-stopping rule of MLPerf Inference's LoadGen (`loadgen/early_stopping.cc`): with `t` the most samples of
    `n` that may be slower so that a binomial of `n` and `1 - percentile` shows at most `t` with a probability of
    `1 - confidence`, the `t`-th slowest sample is the bound. It takes 64 samples for p90, 130 for p95, 662 for p99.

    Args:
        samples: Nanoseconds, of any order.
        percentile: 0 to 1.
        confidence: 0 to 1.
    """
    import numpy as np

    slower = _allowed_slower(len(samples), 1 - percentile, 1 - confidence)
    return int(np.sort(samples)[-slower]) if slower >= 1 else None


def _allowed_slower(count: int, share: float, doubt: float) -> int:
    """The largest `t` with P(Binomial(count, share) <= t) <= doubt; -1 when there is none."""
    import numpy as np

    k = np.arange(int(count * share) + 1)
    steps = np.log((count - k) / (k + 1)) + np.log(share / (1 - share))
    log_mass = count * np.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps[:-1])])
    return int((np.cumsum(np.exp(log_mass)) <= doubt).sum()) - 1
