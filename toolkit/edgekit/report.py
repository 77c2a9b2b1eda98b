"""From runs to what people decide by: the figures of a table, and the sentence that says what to ship.

Pure: takes runs, gives values; `edgekit_cli.render` shows them.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from edgekit.errors import UsageError
from edgekit.run import Clock, Run
from edgekit.stats import Summary, summarize
from edgekit.verdict import Verdict, judge

TOLERATED_DROP_POINTS: Final = 1.0
"""Accuracy that a faster artifact may cost, in percentage points below the best of those compared.

MLPerf Inference's closed division asks for 99 % of the reference's accuracy.
"""


class Scale(NamedTuple):
    """What a run's figures are of, and the unit that a million of its nanoseconds or instructions is."""

    quantity: str
    unit: str
    less: str
    more: str


SCALES: Final[Mapping[Clock, Scale]] = {
    "wall": Scale("latency", "ms", "faster", "slower"),
    "instructions": Scale("instructions an inference", "Minstr", "fewer instructions", "more instructions"),
}
"""By the clock of a schedule. Instructions stand in the fields of nanoseconds, and are never shown as such."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run in figures.

    Attributes:
        run: The run itself.
        summary: Its latency.
        verdict: How far it can be trusted.
        load_ns: Median over its processes of loading the model.
        first_ns: Median over its processes of the first inference.
        peak_rss_bytes: The largest peak of its processes.
        drop_points: Accuracy lost against the source, percentage points; None without labels.
    """

    run: Run
    summary: Summary
    verdict: Verdict
    load_ns: float
    first_ns: float
    peak_rss_bytes: int
    drop_points: float | None

    @property
    def label(self) -> str:
        """Format and precision."""
        return f"{self.run.artifact.format} {self.run.artifact.precision}"

    @property
    def sqnr_db(self) -> float | None:
        """Signal to quantization noise ratio on the device, else at conversion (see `decibels`)."""
        golden = self.run.golden
        return decibels(golden.relative_rms if golden else self.run.artifact.relative_rms)


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What to ship, and why.

    Attributes:
        run_id: The run of the artifact to ship.
        artifact: Its name.
        headline: What to ship, in one sentence.
        reasons: Why, a sentence each.
    """

    run_id: str
    artifact: str
    headline: str
    reasons: tuple[str, ...]


def figures(run: Run) -> Figures:
    """The figures of a run."""
    artifact, repetitions = run.artifact, run.repetitions
    drop = None
    if artifact.accuracy is not None and artifact.source_accuracy is not None:
        drop = 100 * (artifact.source_accuracy - artifact.accuracy)
    summary = summarize(run.samples_ns)
    return Figures(
        run=run,
        summary=summary,
        verdict=judge(run, summary),
        load_ns=median(item.load_ns for item in repetitions),
        first_ns=median(item.first_ns for item in repetitions),
        peak_rss_bytes=max(item.peak_rss_bytes for item in repetitions),
        drop_points=drop,
    )


def doubts(item: Figures) -> tuple[str, ...]:
    """Why a run's figures may not be what they will be next time, each with what to do."""
    return item.verdict.reasons


def recommend(runs: Sequence[Figures]) -> Recommendation | None:
    """What to ship of the artifacts that were measured; None when none of them computes what its source does.

    Of the artifacts whose golden vectors pass and whose accuracy is within `TOLERATED_DROP_POINTS` of the best, the
    fastest wins. Those whose median's confidence interval overlaps the fastest one's are equally fast: of them
    the most accurate wins, then the smallest.

    Raises:
        UsageError: The runs are from different devices, or physical and emulated ones, or two clocks, are mixed.
    """
    _check_comparable(runs)
    sound = [item for item in runs if item.run.golden is None or item.run.golden.passed]
    if not sound:
        return None
    accurate = [item for item in sound if _within_tolerance(item, sound)]
    fastest = min(accurate, key=lambda item: item.summary.median_ns)
    equal = [item for item in accurate if _bounds(item)[0] <= _bounds(fastest)[1]]
    best = min(equal, key=lambda item: (-(item.run.artifact.accuracy or 0), item.run.artifact.model_bytes))
    reasons = (*_against_fp32(best, sound), *_against_other_formats(best, accurate), *_left_out(sound, accurate))
    return Recommendation(
        run_id=best.run.id, artifact=best.run.artifact.name, headline=_headline(best, equal), reasons=reasons
    )


def _check_comparable(runs: Sequence[Figures]) -> None:
    for what, values in (
        ("devices", {item.run.device for item in runs}),
        ("kinds of device", {item.run.environment.kind for item in runs}),
        ("clocks", {item.run.schedule.clock for item in runs}),
    ):
        if len(values) > 1:
            raise UsageError(f"These runs are from different {what}: {', '.join(sorted(values))}.")


def _within_tolerance(item: Figures, others: Sequence[Figures]) -> bool:
    known = [other.run.artifact.accuracy for other in others if other.run.artifact.accuracy is not None]
    own = item.run.artifact.accuracy
    return own is None or 100 * (max(known) - own) <= TOLERATED_DROP_POINTS


def _headline(best: Figures, equal: Sequence[Figures]) -> str:
    artifact = best.run.artifact
    facts = [f"{amount(best.summary.median_ns, best.run)} median"]
    if artifact.accuracy is not None:
        facts.append(f"{artifact.accuracy:.1%} accuracy")
    facts.append(f"{artifact.model_bytes / 1e3:.0f} kB")
    kind = best.run.environment.kind
    shared = {"emulated": " (emulated)", "virtual": " (a virtual machine)"}.get(kind, "")
    others = len(equal) - 1
    alike = f"equally {'fast' if best.run.schedule.clock == 'wall' else 'good'}"
    also = f"; {others} other{'s are' if others > 1 else ' is'} {alike}" if others else ""
    return f"Ship {artifact.name} on {best.run.device}{shared}: {', '.join(facts)}{also}."


def _against_fp32(best: Figures, runs: Sequence[Figures]) -> list[str]:
    artifact = best.run.artifact
    same = [
        item for item in runs
        if (item.run.artifact.source, item.run.artifact.format, item.run.artifact.precision)
        == (artifact.source, artifact.format, "fp32")
    ]  # fmt: skip
    if artifact.precision == "fp32" or not same:
        return []
    other = same[0]
    words = [_speed(best, other), f"{other.run.artifact.model_bytes / artifact.model_bytes:.1f}x smaller"]
    if artifact.accuracy is not None and other.run.artifact.accuracy is not None:
        words.append(f"{100 * (artifact.accuracy - other.run.artifact.accuracy):+.1f} points of accuracy")
    return [f"Against {other.label} of the same source: {', '.join(words)}."]


def _against_other_formats(best: Figures, runs: Sequence[Figures]) -> list[str]:
    others = [item for item in runs if item.run.artifact.format != best.run.artifact.format]
    if not others:
        return []
    nearest = min(others, key=lambda item: item.summary.median_ns)
    return [f"Against the fastest {nearest.run.artifact.format}, {nearest.run.artifact.name}: {_speed(best, nearest)}."]


def _left_out(sound: Sequence[Figures], accurate: Sequence[Figures]) -> list[str]:
    out = [item.run.artifact.name for item in sound if item not in accurate]
    if not out:
        return []
    return [f"Left out for accuracy more than {TOLERATED_DROP_POINTS:g} point below the best: {', '.join(out)}."]


def _speed(item: Figures, other: Figures) -> str:
    """How much faster, when the intervals tell the two apart."""
    a, b = item.summary, other.summary
    scale = SCALES[item.run.schedule.clock]
    if _bounds(item)[1] < _bounds(other)[0]:
        return f"{b.median_ns / a.median_ns:.1f}x {scale.less}"
    if _bounds(other)[1] < _bounds(item)[0]:
        return f"{a.median_ns / b.median_ns:.1f}x {scale.more}"
    return "equally fast"


def _bounds(item: Figures) -> tuple[float, float]:
    """The median's interval, nanoseconds; without one it may be anything."""
    ci = item.summary.median_ci
    return (ci.low_ns, ci.high_ns) if ci else (0.0, math.inf)


def decibels(relative_rms: float | None) -> float | None:
    """The SQNR of a relative RMS error; infinite when there is none, None when it is not a number."""
    if relative_rms is None or not math.isfinite(relative_rms):
        return None
    return math.inf if relative_rms == 0 else -20 * math.log10(relative_rms)


def amount(nanoseconds: float, run: Run) -> str:
    """A figure of a run with its unit."""
    return f"{milliseconds(nanoseconds)} {SCALES[run.schedule.clock].unit}"


def megabytes(count: int) -> str:
    """Megabytes without a fraction; of a microcontroller's memory, which is less than one, with three digits of it."""
    return f"{count / 1e6:,.0f}" if count >= 1e6 else f"{count / 1e6:.3f}"  # noqa: PLR2004 - a megabyte


def milliseconds(nanoseconds: float) -> str:
    """Milliseconds with three significant digits, never in exponent form."""
    value = nanoseconds / 1e6
    digits = next((places for places, least in ((1, 10), (2, 1), (3, 0.1)) if value >= least), 4)
    return f"{value:.{digits}f}"
