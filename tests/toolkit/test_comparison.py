"""Two runs side by side: what differs, and what a gate says."""

from typing import Any

import pytest

from edgekit.comparison import Comparison, compare, judge_ratio
from edgekit.differences import differences
from edgekit.errors import UsageError
from edgekit.gate import Check, check, parse_condition
from edgekit.run import CpuState, Run, Schedule
from edgekit.stats import Ratio
from fakes import make_repetition, make_run


def run_at(factor: float, *, processes: int = 5, spread: float = 0.001, **changes: Any) -> Run:
    """A run whose processes measured a millisecond times `factor`, each a little more than the one before."""
    repetitions = [
        make_repetition([int(1e6 * factor * (1 + spread * (place - processes / 2))) + step for step in range(100)])
        for place in range(processes)
    ]
    return make_run(repetitions=tuple(repetitions), **changes)


def compared(factor: float, **changes: Any) -> Comparison:
    """A run of this factor against one of factor 1."""
    return compare(run_at(1.0), run_at(factor, **changes))


@pytest.mark.parametrize(
    ("factor", "spread", "outcome"),
    [(1.10, 0.001, "slower"), (0.90, 0.001, "faster"), (1.002, 0.001, "same"), (1.03, 0.08, "cannot tell")],
)
def test_the_outcome_follows_the_interval(factor: float, spread: float, outcome: str) -> None:
    """Beyond the noise band and sure, within it, or not to be told."""
    assert compared(factor, spread=spread).outcome == outcome


def test_too_few_processes_cannot_tell() -> None:
    """One process does not show how processes differ, however many samples it has."""
    found = compare(run_at(1.0, processes=1), run_at(2.0, processes=1))
    assert (found.median, found.outcome) == (None, "cannot tell")


@pytest.mark.parametrize(
    ("low", "value", "high", "outcome"),
    [
        (1.001, 1.01, 1.019, "same"),
        (1.001, 1.019, 1.04, "same"),
        (1.001, 1.03, 1.06, "slower"),
        (0.99, 1.03, 1.06, "cannot tell"),
        (0.94, 0.97, 0.999, "faster"),
        (0.985, 1.0, 1.015, "same"),
    ],
)
def test_a_change_within_the_band_is_noise_however_sure(low: float, value: float, high: float, outcome: str) -> None:
    """With a band of 2 %."""
    assert judge_ratio(Ratio(value=value, low=low, high=high, confidence=0.95, method=""), 0.02) == outcome


def test_an_unsteady_run_must_change_by_more_than_it_does_by_itself() -> None:
    """Of a shared machine, a run that is 15 % slower may be somebody else's doing; one of half as much again is not."""
    busy = {"before": CpuState(load1=9.0)}
    noise, real = (compared(factor, environment=busy) for factor in (1.15, 1.5))
    assert (noise.outcome, noise.unsteady, state(noise, "median > +5%")) == ("cannot tell", True, "cannot tell")
    assert (real.outcome, real.unsteady, state(real, "median > +5%")) == ("slower", False, "failed")
    pair = (run_at(factor, processes=8, environment=busy, pair="p") for factor in (1.0, 1.15))
    assert compare(*pair).outcome == "slower"


def test_runs_of_a_pair_are_compared_process_by_process() -> None:
    """Processes that differ by a third hide 3 % from runs taken apart, and not from those that took turns."""
    sides = [run_at(factor, processes=8, spread=0.05) for factor in (1.0, 1.03)]
    apart = compare(*sides)
    turns = compare(*(run_at(factor, processes=8, spread=0.05, pair="p") for factor in (1.0, 1.03)))
    assert apart.outcome == "cannot tell"
    assert turns.outcome == "slower"
    assert turns.median is not None
    assert "took turns" in turns.median.method


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"device": "ssh://pi"}, "different devices, local: and ssh://pi"),
        ({"environment": {"kind": "emulated"}}, "kinds of machine, physical and emulated"),
        ({"environment": {"cpu": "Cortex-A76"}}, "CPUs"),
        ({"schedule": Schedule(mode="cold")}, "modes"),
    ],
    ids=["device", "kind", "cpu", "mode"],
)
def test_what_is_not_comparable_is_refused_unless_forced(changes: dict[str, Any], word: str) -> None:
    """And when it is forced, the comparison says so."""
    with pytest.raises(UsageError, match="cannot be compared") as caught:
        compare(run_at(1.0), run_at(1.0, **changes))
    assert word in caught.value.cause
    assert "--force" in caught.value.hint
    (forced,) = compare(run_at(1.0), run_at(1.0, **changes), force=True).forced
    assert word in forced


def test_differences_come_with_the_likeliest_first() -> None:
    """Threads and clock before the runtime's version, that before Python's."""
    base = run_at(1.0, environment={"after": CpuState(frequency_hz=(1_500_000_000,))})
    new = run_at(
        1.0,
        schedule=Schedule(threads=4),
        runtime="LiteRT 2.4.0",
        environment={"python": "3.12", "after": CpuState(frequency_hz=(600_000_000,)), "packages": {"numpy": "2"}},
    )
    found = differences(base, new)
    assert [item.weight for item in found] == sorted(
        (item.weight for item in found), key=["likely", "possible", "unlikely"].index
    )
    assert {item.what for item in found} == {"threads", "clock", "runtime", "Python", "numpy"}
    clock = next(item for item in found if item.what == "clock")
    assert (clock.base, clock.new, clock.weight) == ("1500 MHz", "600 MHz", "likely")


def test_a_run_does_not_differ_from_itself() -> None:
    """Nothing to explain."""
    assert list(differences(run_at(1.0), run_at(1.0))) == []


def state(found: Comparison, text: str) -> str:
    """What one condition says."""
    (only,) = check(found, [parse_condition(text)])
    return only.state


@pytest.mark.parametrize(
    ("factor", "text", "expected"),
    [
        (1.10, "median > +5%", "failed"),
        (1.02, "median > +5%", "passed"),
        (1.05, "median > +5%", "cannot tell"),
        (0.80, "median < -10%", "failed"),
        (0.95, "median < -10%", "passed"),
        (1.00, "median > 0.5ms", "failed"),
        (1.00, "median > 500 us", "failed"),
        (1.00, "median > 2ms", "passed"),
        (1.50, "p90 > +20%", "failed"),
        (1.00, "p99 > 20ms", "cannot tell"),
        (1.00, "size > 50kB", "failed"),
        (1.00, "size > +1 kB", "passed"),
        (1.00, "memory > 100MB", "passed"),
        (1.00, "accuracy < -0.5 points", "passed"),
        (1.00, "load > 1 ms", "failed"),
    ],
)
def test_conditions(factor: float, text: str, expected: str) -> None:
    """On changes and on the figures themselves; the median's interval decides over its changes."""
    assert state(compared(factor), text) == expected


def test_accuracy_lost_fails() -> None:
    """In percentage points, down."""
    found = compare(run_at(1.0), run_at(1.0, artifact={"accuracy": 0.89}))
    assert state(found, "accuracy < -0.5 points") == "failed"
    assert state(found, "accuracy < 88%") == "passed"


def test_what_a_run_does_not_tell_cannot_be_judged() -> None:
    """Without labels there is no accuracy to lose."""
    found = compare(run_at(1.0), run_at(1.0, artifact={"accuracy": None}))
    assert state(found, "accuracy < -0.5 points") == "cannot tell"


@pytest.mark.parametrize(
    ("factor", "spread", "expected"),
    [(1.1, 0.001, "failed"), (0.9, 0.001, "passed"), (1.0, 0.001, "passed"), (1.03, 0.08, "cannot tell")],
)
def test_without_a_condition_slower_fails(factor: float, spread: float, expected: str) -> None:
    """The default gate."""
    (only,) = check(compared(factor, spread=spread), [])
    assert isinstance(only, Check)
    assert only.state == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("median", "is no condition"),
        ("median => 5%", "is no condition"),
        ("medain > 5%", "Did you mean"),
        ("median > 5", "has no unit"),
        ("median > 5 MB", "not in 'MB'"),
        ("accuracy < 5 ms", "not in 'ms'"),
        ("", "is no condition"),
        ("median > five%", "is no condition"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, word: str) -> None:
    """With what was expected in its place."""
    with pytest.raises(UsageError) as caught:
        parse_condition(text)
    assert word in f"{caught.value.cause} {caught.value.hint}"
