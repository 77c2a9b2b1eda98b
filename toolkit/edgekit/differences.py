"""What differs between two runs, and how likely it is what makes the one slower."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from edgekit.run import CpuState, Run

Weight: TypeAlias = Literal["likely", "possible", "unlikely"]

_ORDER: Final[Sequence[Weight]] = ("likely", "possible", "unlikely")

CLOCK_APART: Final = 0.05
"""Clocks closer than this, relative, are the same: the governor's steps are finer on no board known."""

DEGREES_APART: Final = 10.0
"""Hottest zones closer than this, in degrees, are the same."""

LOAD_APART: Final = 0.5
"""Loads closer than this are the same: half a core's worth of other work."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs.

    Attributes:
        what: Its name.
        base: What the base run had.
        new: What the other had.
        weight: How likely it explains a difference in latency.
        why: What it does to latency.
    """

    what: str
    base: str
    new: str
    weight: Weight
    why: str


class _Fact(NamedTuple):
    what: str
    read: Callable[[Run], object]
    weight: Weight
    why: str


_FACTS: Final[Sequence[_Fact]] = (
    _Fact("machine", lambda run: run.environment.kind, "likely", "emulated and virtual machines keep another time"),
    _Fact("CPU", lambda run: run.environment.cpu, "likely", "another CPU"),
    _Fact("board", lambda run: run.environment.board, "likely", "another board"),
    _Fact("format", lambda run: run.artifact.format, "likely", "another runtime executes it"),
    _Fact("precision", lambda run: run.artifact.precision, "likely", "other arithmetic"),
    _Fact("artifact", lambda run: run.artifact.id[:12], "likely", "another model or conversion"),
    _Fact("threads", lambda run: run.schedule.threads, "likely", "more or fewer cores work"),
    _Fact("delegate", lambda run: run.delegate, "likely", "other kernels run, or fewer operators are delegated"),
    _Fact("mode", lambda run: run.schedule.mode, "likely", "pauses let clocks fall and caches go"),
    _Fact("period", lambda run: run.schedule.period_s, "likely", "pauses let clocks fall and caches go"),
    _Fact("governor", lambda run: _once(run.environment.before.governor), "likely", "it decides the clock"),
    _Fact("power mode", lambda run: run.environment.power_mode, "likely", "it limits cores and clocks"),
    _Fact("throttled", lambda run: run.environment.after.throttled, "likely", "the board slowed itself down"),
    _Fact("taken in turns", lambda run: bool(run.pair), "possible", "the other model of the pair takes the caches"),
    _Fact("runtime", lambda run: run.runtime, "possible", "another version has other kernels"),
    _Fact("harness", lambda run: run.harness, "possible", "another version may measure otherwise"),
    _Fact("warm-up", lambda run: run.schedule.warmup_s, "possible", "less of it leaves clocks low"),
    _Fact("affinity", lambda run: run.environment.affinity, "possible", "other cores may be of another kind"),
    _Fact("cores", lambda run: run.environment.cores, "possible", "threads may share a core"),
    _Fact("libc", lambda run: run.environment.libc, "unlikely", "memory functions differ a little"),
    _Fact("system", lambda run: run.environment.system, "unlikely", "the kernel schedules otherwise"),
    _Fact("Python", lambda run: run.environment.python, "unlikely", "only a call's overhead"),
    _Fact("memory", lambda run: run.environment.memory_bytes, "unlikely", "only when the model hardly fits"),
)


def differences(base: Run, new: Run) -> Sequence[Difference]:
    """What differs between two runs, the likeliest explanation first."""
    found = [*_facts(base, new), *_states(base, new)]
    return sorted(found, key=lambda item: _ORDER.index(item.weight))


def _facts(base: Run, new: Run) -> Iterator[Difference]:
    for fact in _FACTS:
        before, after = fact.read(base), fact.read(new)
        if before != after:
            yield Difference(what=fact.what, base=_word(before), new=_word(after), weight=fact.weight, why=fact.why)
    for name in sorted(base.environment.packages.keys() | new.environment.packages.keys()):
        before, after = (run.environment.packages.get(name, "") for run in (base, new))
        told = base.runtime != new.runtime and bool(before) and before in base.runtime  # the runtime's own version
        if before != after and not told:
            words = _word(before), _word(after)
            yield Difference(what=name, base=words[0], new=words[1], weight="unlikely", why="another version of it")


def _states(base: Run, new: Run) -> Iterator[Difference]:
    """What moves, where it lies further apart than it does by itself."""
    after = base.environment.after, new.environment.after
    clocks = _both(after, _clock)
    if clocks and abs(clocks[0] / clocks[1] - 1) > CLOCK_APART:
        yield _moved("clock", [f"{value / 1e6:.0f} MHz" for value in clocks], "likely", "latency follows the clock")
    degrees = _both(after, _hottest)
    if degrees and abs(degrees[0] - degrees[1]) > DEGREES_APART:
        words = [f"{value:.0f} °C" for value in degrees]
        yield _moved("temperature", words, "possible", "a hot device turns its clock down")
    loads = _both((base.environment.before, new.environment.before), lambda state: state.load1)
    if loads and abs(loads[0] - loads[1]) > LOAD_APART:
        yield _moved("load before", [f"{value:.1f}" for value in loads], "possible", "other programs ran beside it")


def _both(states: tuple[CpuState, CpuState], read: Callable[[CpuState], float | None]) -> tuple[float, float] | None:
    """A figure of both; None when one of them does not tell it."""
    one, other = read(states[0]), read(states[1])
    return None if one is None or other is None else (one, other)


def _clock(state: CpuState) -> float | None:
    return max(state.frequency_hz) if state.frequency_hz else None


def _hottest(state: CpuState) -> float | None:
    return max(state.temperature_c.values()) if state.temperature_c else None


def _moved(what: str, words: Sequence[str], weight: Weight, why: str) -> Difference:
    return Difference(what=what, base=words[0], new=words[1], weight=weight, why=why)


def _once(values: Sequence[str] | None) -> str | None:
    return None if values is None else ", ".join(sorted(set(values)))


def _word(value: object) -> str:
    return "not told" if value in {None, ""} else str(value)
