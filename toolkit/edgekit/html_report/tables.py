"""The report's tables as text: a row for each run."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from edgekit.html_report.entries import Entry, is_sound
from edgekit.report import decibels, megabytes, milliseconds
from edgekit.stats import Interval

NONE: Final = "\N{EN DASH}"
"""In place of a figure that there is none of."""


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run in figures, as the page's table shows them."""

    number: int
    artifact: str
    colour: str
    failed: bool
    optimal: bool
    verdict: str
    format: str
    precision: str
    size_kb: str
    accuracy: str
    change: str
    median_ms: str
    interval_ms: str
    percentiles_ms: tuple[str, str, str]
    load_ms: str
    first_ms: str
    memory_mb: str
    sqnr: str
    outliers: str
    samples: str


class ParityRow(msgspec.Struct, frozen=True, kw_only=True):
    """The golden check of one run, as the page's table shows it; `passed` is None when it was not made."""

    name: str
    passed: bool | None
    vectors: str
    relative_rms: str
    bar: str
    sqnr: str
    sqnr_at_conversion: str


def results(entries: Sequence[Entry]) -> list[ResultRow]:
    """The table of figures."""
    return [_result(entry) for entry in entries]


def _result(entry: Entry) -> ResultRow:
    item, summary, artifact = entry.item, entry.item.summary, entry.item.run.artifact
    return ResultRow(
        number=entry.number,
        artifact=artifact.name,
        colour=entry.look.colour,
        failed=not is_sound(item),
        optimal=entry.optimal,
        verdict=item.verdict.kind,
        format=artifact.format,
        precision=artifact.precision,
        size_kb=f"{artifact.model_bytes / 1e3:,.{1 if artifact.model_bytes < 1e5 else 0}f}",  # noqa: PLR2004 - 100 kB
        accuracy=NONE if artifact.accuracy is None else f"{100 * artifact.accuracy:.1f}",
        change=NONE if item.drop_points is None else f"{0 - item.drop_points:+.1f}",
        median_ms=milliseconds(summary.median_ns),
        interval_ms=_interval(summary.median_ci),
        percentiles_ms=(_bound(summary.p90_ns), _bound(summary.p95_ns), _bound(summary.p99_ns)),
        load_ms=milliseconds(item.load_ns),
        first_ms=milliseconds(item.first_ns),
        memory_mb=megabytes(item.peak_rss_bytes),
        sqnr=_db(item.sqnr_db),
        outliers=f"{summary.outliers:,} ({summary.outliers / summary.count:.1%})",
        samples=_samples(entry),
    )


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"{milliseconds(interval.low_ns)} to {milliseconds(interval.high_ns)}"


def _bound(nanoseconds: float | None) -> str:
    return NONE if nanoseconds is None else milliseconds(nanoseconds)


def _db(value: float | None) -> str:
    if value is None:
        return NONE
    return "equal" if math.isinf(value) else f"{value:.0f}"


def _samples(entry: Entry) -> str:
    counts = [len(repetition.samples_ns) for repetition in entry.item.run.repetitions]
    low, high = min(counts), max(counts)
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{len(counts)} \N{MULTIPLICATION SIGN} {each}"


def parity(entries: Sequence[Entry]) -> list[ParityRow]:
    """The table of golden checks."""
    return [_parity(entry) for entry in entries]


def _parity(entry: Entry) -> ParityRow:
    golden = entry.item.run.golden
    at_conversion = _db(decibels(entry.item.run.artifact.relative_rms))
    if golden is None:
        return ParityRow(
            name=entry.name, passed=None, vectors=NONE, relative_rms=NONE, bar=NONE, sqnr=NONE,
            sqnr_at_conversion=at_conversion,
        )  # fmt: skip
    return ParityRow(
        name=entry.name,
        passed=golden.passed,
        vectors=str(golden.vectors),
        relative_rms="not a number" if golden.relative_rms is None else f"{golden.relative_rms:.2g}",
        bar=f"{golden.max_error:.2g}",
        sqnr=_db(decibels(golden.relative_rms)),
        sqnr_at_conversion=at_conversion,
    )
