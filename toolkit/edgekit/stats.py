"""What samples say, and how surely: medians and ratios with intervals, percentiles that the samples can support.

Samples come in repetitions: one fresh process each, its inferences in order. Neighbours in a process resemble each
other (clock, caches), and processes differ by more than their samples do (memory layout, page cache), so an interval
that takes all samples for independent is far too narrow. What is independent is a process; its median is one
observation. Times are compared by their logarithms, since what slows a program down slows it by a factor. No sample is
ever dropped.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.int64]"

CONFIDENCE: Final = 0.95
"""The level of every interval; percentiles have their own (`percentile_bound`)."""

_BATCHES: Final = 20
"""Batches that a single process is cut into: 10 to 30 are asked for (Schmeiser 1982, Operations Research 30:3)."""

_BATCH_SAMPLES: Final = 5
"""Least samples of a batch; a median of fewer is hardly one."""

_SIGNED_RANK_LEAST: Final = 6
"""Least pairs that a signed-rank interval at 95 % exists for: with 5, its surest one holds at 93.75 %."""

_FAR_OUT: Final = 3.0
"""Interquartile ranges above the third quartile beyond which a sample is far out (Tukey 1977)."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A confidence interval, nanoseconds; `confidence` is its level, 0 to 1."""

    low_ns: float
    high_ns: float
    confidence: float


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A new latency over a base's, with its interval; 1.05 is 5 % slower.

    Attributes:
        value: The best estimate.
        low: The interval's lower end.
        high: Its upper end.
        confidence: The interval's level, 0 to 1.
        method: How it was estimated, in a sentence.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All samples of a run in figures, nanoseconds.

    Attributes:
        count: Samples of all processes.
        processes: Fresh processes they come from.
        median_ns: Of all samples.
        median_ci: Its interval (see `median_interval`); None when there are too few samples to say.
        mean_ns: Of all samples.
        min_ns: The fastest.
        max_ns: The slowest.
        p90_ns: 90th percentile, an upper bound at 99 % (see `percentile_bound`); None when there are too few samples.
        p95_ns: 95th percentile, as above.
        p99_ns: 99th percentile, as above.
        outliers: Samples more than three interquartile ranges above the third quartile; all are in the figures.
        between_processes: How far the medians of the processes lie apart, (largest - smallest) / median; None for one.
        within_processes: How far the samples of one process lie apart: interquartile range / median, the median of all
            processes.
    """

    count: int
    processes: int
    median_ns: float
    median_ci: Interval | None
    mean_ns: float
    min_ns: int
    max_ns: int
    p90_ns: int | None
    p95_ns: int | None
    p99_ns: int | None
    outliers: int
    between_processes: float | None
    within_processes: float

    @property
    def precision(self) -> float | None:
        """The interval's longer side over the median; None without an interval."""
        if self.median_ci is None:
            return None
        return max(self.median_ci.high_ns - self.median_ns, self.median_ns - self.median_ci.low_ns) / self.median_ns


def summarize(repetitions: Sequence[Sequence[int]]) -> Summary:
    """Summarize a run's samples.

    Args:
        repetitions: For each process its samples in order, nanoseconds; at least one sample in each.
    """
    import numpy as np

    processes = [np.asarray(samples, np.int64) for samples in repetitions]
    pooled = np.concatenate(processes)
    first, third = np.quantile(pooled, [0.25, 0.75])
    return Summary(
        count=int(pooled.size),
        processes=len(processes),
        median_ns=float(np.median(pooled)),
        median_ci=median_interval(processes),
        mean_ns=float(pooled.mean()),
        min_ns=int(pooled.min()),
        max_ns=int(pooled.max()),
        p90_ns=percentile_bound(pooled, 0.90),
        p95_ns=percentile_bound(pooled, 0.95),
        p99_ns=percentile_bound(pooled, 0.99),
        outliers=int((pooled > third + _FAR_OUT * (third - first)).sum()),
        between_processes=_between(processes),
        within_processes=float(np.median([_spread(samples) for samples in processes])),
    )


def _between(processes: Sequence[Samples]) -> float | None:
    import numpy as np

    if len(processes) == 1:
        return None
    medians = [float(np.median(samples)) for samples in processes]
    return (max(medians) - min(medians)) / float(np.median(medians))


def _spread(samples: Samples) -> float:
    import numpy as np

    first, middle, third = np.quantile(samples, [0.25, 0.5, 0.75])
    return float((third - first) / middle)


def median_interval(repetitions: "Sequence[Sequence[int] | Samples]") -> Interval | None:
    """The interval of the median of all samples, by Student's t over the medians of the processes.

    Of a single process the medians of its batches stand in (batch means, Schmeiser 1982): such an interval knows
    nothing of how the next process would differ.

    Args:
        repetitions: For each process its samples in order, nanoseconds.
    """
    import numpy as np

    logs = np.log(_observations(repetitions))
    if len(logs) < 2:  # noqa: PLR2004 - one observation has no spread
        return None
    middle = float(np.median(np.concatenate([np.asarray(samples) for samples in repetitions])))
    reach = float(np.exp(_student(len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))))
    return Interval(low_ns=middle / reach, high_ns=middle * reach, confidence=CONFIDENCE)


def _observations(repetitions: "Sequence[Sequence[int] | Samples]") -> "NDArray[np.float64]":
    """Medians that know nothing of each other: of the processes, else of the only one's batches."""
    import numpy as np

    if len(repetitions) > 1:
        return np.array([np.median(samples) for samples in repetitions])
    batches = min(_BATCHES, len(repetitions[0]) // _BATCH_SAMPLES)
    return np.array([np.median(batch) for batch in np.array_split(np.asarray(repetitions[0]), max(1, batches))])


def _student(freedom: float) -> float:
    """Student's t that the interval reaches to on either side."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def ratio(base: Sequence[Sequence[int]], new: Sequence[Sequence[int]]) -> Ratio | None:
    """How much slower `new` is than `base`, of two runs that were taken apart; None with less than two processes each.

    Welch's t (1947, Biometrika 34) on the logarithms of the processes' medians: the runs may be of different spread
    and length.

    Args:
        base: For each process its samples, nanoseconds.
        new: As `base`.
    """
    import numpy as np

    if min(len(base), len(new)) < 2:  # noqa: PLR2004 - one process does not show how processes differ
        return None
    logs = [np.log([np.median(samples) for samples in side]) for side in (base, new)]
    errors = [float(side.var(ddof=1)) / len(side) for side in logs]
    total = sum(errors)
    parts = [error**2 / (len(side) - 1) for error, side in zip(errors, logs, strict=True)]
    reach = _student(total**2 / sum(parts)) * np.sqrt(total) if total else 0.0
    middle = float(np.log(np.median(np.concatenate(new)) / np.median(np.concatenate(base))))
    method = f"Welch's t over the medians of {len(base)} and {len(new)} processes"
    return _ratio(middle, middle - reach, middle + reach, method)


def paired_ratio(base: Sequence[Sequence[int]], new: Sequence[Sequence[int]]) -> Ratio | None:
    """How much slower `new` is than `base`, of two that took turns in the same processes; None with less than six.

    The Hodges-Lehmann estimate with the interval of Wilcoxon's signed-rank test (Hollander and Wolfe 1999, 3.2 and
    3.3): a few processes in which the machine did something else do not move it.

    Args:
        base: For each process its samples, nanoseconds.
        new: The same processes', in the same order.
    """
    import numpy as np

    pairs = list(zip(base, new, strict=True))
    if len(pairs) < _SIGNED_RANK_LEAST:
        return None
    logs = np.array([np.log(np.median(after) / np.median(before)) for before, after in pairs])
    places = np.triu_indices(len(logs))
    averages = np.sort((logs[:, None] + logs[None, :])[places] / 2)
    cut = _signed_rank_cut(len(logs))
    method = f"Hodges-Lehmann over {len(pairs)} processes in which both took turns, signed-rank interval"
    return _ratio(float(np.median(averages)), float(averages[cut]), float(averages[-1 - cut]), method)


def _signed_rank_cut(count: int) -> int:
    """How many Walsh averages the interval leaves out on either side: the largest rank sum that is unlikely enough."""
    import numpy as np

    ways = np.ones(1)
    for rank in range(1, count + 1):
        ways = np.concatenate([ways, np.zeros(rank)]) + np.concatenate([np.zeros(rank), ways])
    return int((np.cumsum(ways) / 2.0**count <= (1 - CONFIDENCE) / 2).sum()) - 1


def _ratio(middle: float, low: float, high: float, method: str) -> Ratio:
    import numpy as np

    value, bottom, top = (float(item) for item in np.exp([middle, low, high]))
    return Ratio(value=value, low=bottom, high=top, confidence=CONFIDENCE, method=method)


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
    from scipy.special import bdtr

    return int((bdtr(np.arange(int(count * share) + 1), count, share) <= doubt).sum()) - 1
