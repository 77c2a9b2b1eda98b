"""How far a run can be trusted, from what the run itself shows."""

from typing import Any

import msgspec
import pytest

from edgekit.report import figures
from edgekit.run import CpuState, Run, Schedule
from edgekit.verdict import Verdict
from fakes import make_repetition, make_run

QUIET = (1_000_000, 1_001_000, 1_002_000) * 100


def verdict(run: Run) -> Verdict:
    """The verdict on it."""
    return figures(run).verdict


def with_process(**changes: Any) -> Run:
    """Three quiet processes, of which the last is changed."""
    quiet = make_repetition(QUIET)
    return make_run(repetitions=(quiet, quiet, msgspec.structs.replace(quiet, **changes)))


def test_a_quiet_run_is_steady() -> None:
    """Nothing stands against it."""
    assert verdict(make_run(QUIET)) == Verdict(kind="steady", reasons=())


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ({}, {"throttled": "0x5"}, "under-voltage, throttled"),
        ({"throttled": "1"}, {}, "under-voltage"),
        ({"frequency_hz": (1_800_000_000,)}, {"frequency_hz": (600_000_000,)}, "from 1800 to 600 MHz"),
    ],
    ids=["flags after", "flags before", "clock"],
)
def test_a_device_that_slows_itself_down_is_throttled(before: dict[str, Any], after: dict[str, Any], word: str) -> None:
    """By the board's own flags, or by its clock."""
    found = verdict(make_run(QUIET, environment={"before": CpuState(**before), "after": CpuState(**after)}))
    assert found.kind == "throttled"
    assert word in found.reasons[0]


@pytest.mark.parametrize("flags", ["0x50000", "0x0", "", None, "rubbish"])
def test_what_happened_before_the_run_does_not_throttle_it(flags: str | None) -> None:
    """The upper bits tell of the time since boot; what is no number tells nothing."""
    assert verdict(make_run(QUIET, environment={"after": CpuState(throttled=flags)})).kind == "steady"


def test_sustained_work_that_gets_slower_is_throttled() -> None:
    """The end against the beginning; in another mode the same is only a spread."""
    slower = tuple(range(1_000_000, 1_500_000, 1000))
    schedule = Schedule(mode="sustained", repeat=1)
    assert verdict(make_run(slower, processes=1, schedule=schedule)).kind == "throttled"
    assert verdict(make_run(slower, processes=1)).kind == "steady"


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"stolen": 0.2}, "took 20% of the CPU time"), ({"interruptions": 900}, "900 times a second")],
    ids=["hypervisor", "programs"],
)
def test_time_that_others_took_makes_it_shared(changes: dict[str, Any], word: str) -> None:
    """A hypervisor's other guests, or other programs; one process of three is enough."""
    found = verdict(with_process(**changes))
    assert found.kind == "shared"
    assert word in found.reasons[0]


def test_load_before_it_began_makes_it_shared() -> None:
    """More load than cores: something else was running."""
    busy = {"before": CpuState(load1=6.5)}
    assert "load was 6.5 on 4 cores" in verdict(make_run(QUIET, environment=busy)).reasons[0]


def test_processes_that_disagree_make_it_noisy() -> None:
    """And so do a warm-up without end, missed periods, and a goal that was not reached."""
    apart = with_process(samples_ns=tuple(2 * sample for sample in QUIET))
    assert (verdict(apart).kind, "100% apart" in verdict(apart).reasons[0]) == ("noisy", True)
    assert "warm-up ended" in verdict(with_process(settled=False)).reasons[0]
    assert "3 periods passed" in verdict(with_process(missed_periods=3)).reasons[0]
    assert "not reached within the budget" in verdict(make_run(QUIET, stopped="budget")).reasons[0]


def test_the_gravest_reason_names_it_and_all_are_told() -> None:
    """A throttled device that is shared as well is called throttled, for two reasons."""
    found = verdict(make_run(QUIET, environment={"before": CpuState(load1=9.0), "after": CpuState(throttled="4")}))
    assert found.kind == "throttled"
    assert len(found.reasons) == 2
