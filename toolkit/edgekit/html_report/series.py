"""Thins samples for plotting so that what is drawn is true: no extreme is lost, and no process runs into the next."""

from collections.abc import Sequence
from itertools import accumulate, chain
from statistics import median
from typing import Final

import msgspec
import numpy as np

QUANTILES: Final = 400
"""Points of a cumulative distribution at most; more cannot be told apart on a screen."""

BINS: Final = 300
"""Bins of a time series at most, over all processes."""

FAR: Final = 1.6
"""Times the slowest bin's median beyond which slower samples are left above an axis, so that drift stays visible."""

_ENOUGH: Final = 8
"""Samples of a process from which on its first and last quarter are compared."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """An empirical cumulative distribution: `percent[i]` of the samples are at most `latency_ms[i]`."""

    latency_ms: list[float]
    percent: list[float]


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """One process over time, in bins of neighbours.

    Attributes:
        sample: The middle of each bin, counted from 1 over all processes.
        low_ms: The fastest of each bin.
        middle_ms: The median of each bin.
        high_ms: The slowest of each bin.
        end: The number of the process's last sample, counted over all processes.
    """

    sample: list[float]
    low_ms: list[float]
    middle_ms: list[float]
    high_ms: list[float]
    end: int


def distribution(samples_ns: Sequence[int], *, points: int = QUANTILES) -> Distribution:
    """The distribution at evenly spaced ranks; the fastest and the slowest sample are always among them."""
    ordered = np.sort(np.asarray(samples_ns, np.int64))
    ranks = np.unique(np.linspace(0, ordered.size - 1, min(points, ordered.size)).round().astype(np.int64))
    return Distribution(
        latency_ms=_rounded(ordered[ranks] / 1e6), percent=_rounded(100 * (ranks + 1) / ordered.size)
    )  # fmt: skip


def over_time(repetitions: Sequence[Sequence[int]], *, bins: int = BINS) -> list[Stretch]:
    """Every process in order; a bin holds samples of one process only."""
    total = sum(len(samples) for samples in repetitions)
    ends = accumulate(len(samples) for samples in repetitions)
    return [
        _stretch(np.asarray(samples, np.int64), min(len(samples), max(1, bins * len(samples) // total)), end)
        for samples, end in zip(repetitions, ends, strict=True)
    ]


def _stretch(samples: "np.ndarray[tuple[int], np.dtype[np.int64]]", bins: int, end: int) -> Stretch:
    parts = np.array_split(samples, bins)
    ends = np.cumsum([part.size for part in parts])
    middles = end - samples.size + ends - np.array([part.size - 1 for part in parts]) / 2
    return Stretch(
        sample=middles.tolist(),
        low_ms=_rounded(np.array([part.min() for part in parts]) / 1e6),
        middle_ms=_rounded(np.array([np.median(part) for part in parts]) / 1e6),
        high_ms=_rounded(np.array([part.max() for part in parts]) / 1e6),
        end=end,
    )


def top_ms(stretches: Sequence[Stretch]) -> float:
    """Where an axis of latency may end; whoever ends it there says what lies beyond (`beyond`)."""
    return FAR * max(chain.from_iterable(item.middle_ms for item in stretches))


def beyond(samples_ns: Sequence[int], limit_ms: float) -> tuple[int, float] | None:
    """How many samples are slower than an axis shows, and the slowest, milliseconds; None when there are none."""
    samples = np.asarray(samples_ns, np.int64)
    slower = samples[samples > limit_ms * 1e6]
    return (slower.size, float(slower.max()) / 1e6) if slower.size else None


def drift(repetitions: Sequence[Sequence[int]]) -> float | None:
    """How much slower the last quarter of a process is than its first, (last - first) / first.

    The median over the processes of what the quarters' medians say; None where a process has too few samples.
    """
    if any(len(samples) < _ENOUGH for samples in repetitions):
        return None
    quarters = [(np.median(item[: len(item) // 4]), np.median(item[-(len(item) // 4) :])) for item in repetitions]
    return float(median(last / first - 1 for first, last in quarters))


def _rounded(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[float]:
    """Five significant digits: finer than any screen, and half the file."""
    return [float(f"{value:.5g}") for value in values]
