"""Conditions that stop a release, such as `median > +5%`, and what a comparison says to them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from edgekit.comparison import Comparison
from edgekit.errors import UsageError
from edgekit.report import SCALES, Figures
from edgekit.run import Clock
from edgekit.suggest import did_you_mean

State: TypeAlias = Literal["passed", "failed", "cannot tell"]

_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "latency": {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "instr": 1.0, "kinstr": 1e3, "Minstr": 1e6},
    "bytes": {"B": 1.0, "kB": 1e3, "MB": 1e6, "KiB": 1024.0, "MiB": 1024.0**2},
    "accuracy": {"points": 0.01, "point": 0.01, "%": 0.01},
}
"""Units of each kind of figure, in those that it is kept in: nanoseconds or instructions, bytes, a share.

A percentage of an accuracy is its unit; of everything else it is a change from the base.
"""


class _Metric(NamedTuple):
    kind: str
    read: Callable[[Figures], float | None]


METRICS: Final[Mapping[str, _Metric]] = {
    "median": _Metric("latency", lambda item: item.summary.median_ns),
    "p90": _Metric("latency", lambda item: item.summary.p90_ns),
    "p95": _Metric("latency", lambda item: item.summary.p95_ns),
    "p99": _Metric("latency", lambda item: item.summary.p99_ns),
    "load": _Metric("latency", lambda item: item.load_ns),
    "first": _Metric("latency", lambda item: item.first_ns),
    "memory": _Metric("bytes", lambda item: item.peak_rss_bytes),
    "size": _Metric("bytes", lambda item: item.run.artifact.model_bytes),
    "accuracy": _Metric("accuracy", lambda item: item.run.artifact.accuracy),
}
"""What a condition can be about, and where it stands."""

_FORM: Final = re.compile(r"\s*(\w+)\s*([<>])\s*([+-]?)(\d+(?:\.\d+)?)\s*(\S*)\s*")


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Fails when `metric` is above (or below) `limit`.

    Attributes:
        text: As it was written.
        metric: A key of `METRICS`.
        above: Whether more is bad; less is, else.
        limit: A share of the base's figure where `relative`; else in the figure's own unit.
        change: Whether the limit is on the change from the base and not on the new figure itself.
        relative: Whether the limit is a share of the base's figure.
        clock: What the runs must have been measured by, where the limit is of time or of instructions.
    """

    text: str
    metric: str
    above: bool
    limit: float
    change: bool
    relative: bool
    clock: Clock | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison says to a condition; `why` gives the figures."""

    condition: str
    state: State
    why: str


def parse_condition(text: str) -> Condition:
    """Read `METRIC > +5%` (a change), `METRIC > 12ms` (the figure itself) or `accuracy < -0.5 points`.

    Raises:
        UsageError: It is none; names what was expected.
    """
    match = _FORM.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no condition.", hint='For example: "median > +5%", "p99 > 12ms".')
    metric, compared, sign, number, unit = match.groups()
    if metric not in METRICS:
        raise UsageError(f"There is no metric {metric!r}. {did_you_mean(metric, METRICS, 'metrics')}")
    units = _UNITS[METRICS[metric].kind]
    relative = unit == "%" and unit not in units
    if not relative and unit not in units:
        raise UsageError(
            f"{text!r}: {metric} is not in {unit!r}." if unit else f"{text!r} has no unit.",
            hint=f"Write one of: {', '.join(dict.fromkeys(['%', *units]))}.",
        )
    value = float(number) * (0.01 if relative else units[unit]) * (-1 if sign == "-" else 1)
    clock: Clock = "instructions" if unit.endswith("instr") else "wall"
    return Condition(
        text=text,
        metric=metric,
        above=compared == ">",
        limit=value,
        change=relative or bool(sign),
        relative=relative,
        clock=None if relative or METRICS[metric].kind != "latency" else clock,
    )


def check(found: Comparison, conditions: Sequence[Condition]) -> Sequence[Check]:
    """What the comparison says to each; without any, to the default: not slower than the base beyond the band."""
    if not conditions:
        states: Mapping[str, State] = {"slower": "failed", "cannot tell": "cannot tell"}
        text = f"median > +{100 * found.band:.3g}%"
        return [Check(condition=text, state=states.get(found.outcome, "passed"), why=_median_words(found))]
    return [_check(found, condition) for condition in conditions]


def _check(found: Comparison, condition: Condition) -> Check:
    base, new = (METRICS[condition.metric].read(side) for side in (found.base, found.new))
    if new is None or (condition.change and base is None):
        return Check(condition=condition.text, state="cannot tell", why=f"a run does not tell its {condition.metric}")
    clock = found.new.run.schedule.clock
    if condition.clock not in {None, clock}:
        why = "the run tells time" if clock == "wall" else "the run counts instructions, which are no time"
        return Check(condition=condition.text, state="cannot tell", why=why)
    if condition.metric == "median" and condition.relative:
        return _check_median(found, condition)
    value = new
    if condition.change and base is not None:
        value = new / base - 1 if condition.relative and base else new - base
    failed = value > condition.limit if condition.above else value < condition.limit
    why = _words(found, condition, base, new)
    return Check(condition=condition.text, state="failed" if failed else "passed", why=why)


def _check_median(found: Comparison, condition: Condition) -> Check:
    """The interval decides: all of it on the bad side fails, all of it on the good side passes."""
    if found.median is None:
        return Check(condition=condition.text, state="cannot tell", why=_median_words(found))
    limit = 1 + condition.limit
    bad, good = (found.median.low > limit, found.median.high <= limit)
    if not condition.above:
        bad, good = found.median.high < limit, found.median.low >= limit
    bad = bad and not found.unsteady
    state: State = "failed" if bad else "passed" if good else "cannot tell"
    return Check(condition=condition.text, state=state, why=_median_words(found))


def _median_words(found: Comparison) -> str:
    if found.median is None:
        return "too few processes to say: measure with a larger --repeat"
    low, value, high = (100 * (item - 1) for item in (found.median.low, found.median.value, found.median.high))
    return f"the median changed by {value:+.1f}% (95 % interval {low:+.1f}% to {high:+.1f}%)"


def _words(found: Comparison, condition: Condition, base: float | None, new: float) -> str:
    latency = SCALES[found.new.run.schedule.clock].unit
    unit, factor = {"latency": (latency, 1e-6), "bytes": ("kB", 1e-3), "accuracy": ("%", 100.0)}[
        METRICS[condition.metric].kind
    ]
    shown = "" if base is None else f", {factor * base:.4g} {unit} before"
    return f"{condition.metric} is {factor * new:.4g} {unit}{shown}"
