"""Whether a run's figures will be the same next time: steady, or why not, from what the run itself shows.

Pure: takes a run and its summary. Every reason names what was seen and what to do.
"""

from collections.abc import Iterator
from statistics import median
from typing import Final, Literal, TypeAlias

import msgspec

from edgekit.run import Repetition, Run
from edgekit.stats import Summary

Kind: TypeAlias = Literal["steady", "throttled", "charging", "shared", "noisy"]

APART: Final = 0.1
"""How far the medians of a run's processes may lie apart before the run is doubted.

Processes of one program on a quiet machine agree within a few percent (pyperf warns from a standard deviation of 10 %).
"""

SLOWER_LATER: Final = 0.1
"""How much slower the last tenth of a process may be than its first tenth; further off, its clock was turned down."""

CLOCK_LEFT: Final = 0.9
"""The share of the clock before a run that must be left after it."""

STOLEN: Final = 0.02
"""The share of CPU time that a hypervisor may take away: more than that shows in medians, not only in the tail."""

SWITCHES_PER_S: Final = 50.0
"""Times a second that a process may be taken off its core; the kernel's own threads alone do it a few times."""

PI_FLAGS: Final = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
"""The bits of `vcgencmd get_throttled` that tell of now (Raspberry Pi documentation, "vcgencmd")."""


THERMAL_WORDS: Final = {1: "light", 2: "moderate", 3: "severe", 4: "critical", 5: "emergency", 6: "shutdown"}
"""Android's thermal statuses (android.os.PowerManager, THERMAL_STATUS_…)."""

THERMAL_THROTTLES: Final = 2
"""From here on users notice the throttling, as Android's documentation has it; a light one they do not."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run can be trusted.

    Attributes:
        kind: `steady`; or `throttled`: the device slowed itself down; `charging`: its battery was being charged;
            `shared`: others took its time; `noisy`: its processes or samples differ more than they should.
        reasons: Why, each with what to do; empty when steady.
    """

    kind: Kind
    reasons: tuple[str, ...]


def judge(run: Run, summary: Summary) -> Verdict:
    """The verdict on a run; the most specific of the reasons names its kind."""
    found: list[tuple[Kind, str]] = [
        *(("throttled", reason) for reason in _throttled(run)),
        *(("charging", reason) for reason in _charging(run)),
        *(("shared", reason) for reason in _shared(run)),
        *(("noisy", reason) for reason in _noisy(run, summary)),
    ]
    return Verdict(kind=found[0][0] if found else "steady", reasons=tuple(reason for _, reason in found))


def _throttled(run: Run) -> Iterator[str]:
    before, after = run.environment.before, run.environment.after
    flags = _active_flags(after.throttled) or _active_flags(before.throttled)
    if flags:
        yield f"the board reports {', '.join(flags)}: mend its power supply or cooling, and measure again"
    status = max(before.thermal_status or 0, after.thermal_status or 0)
    if status >= THERMAL_THROTTLES:
        words = f"Android's thermal status is {status} ({THERMAL_WORDS.get(status, 'unknown')})"
        yield f"{words}: let it cool, or wait for it with --cooldown 35C"
    if before.frequency_hz and after.frequency_hz and max(after.frequency_hz) < CLOCK_LEFT * max(before.frequency_hz):
        yield (
            f"the clock fell from {max(before.frequency_hz) / 1e6:.0f} to {max(after.frequency_hz) / 1e6:.0f} MHz: "
            "cool the device, or fix its clock by the performance governor"
        )
    slower = max(_later_over_earlier(item) for item in run.repetitions) - 1
    if run.schedule.mode == "sustained" and slower > SLOWER_LATER:
        yield f"the last tenth of it is {slower:.0%} slower than the first: this is what lasting work gets there"


def _active_flags(throttled: str | None) -> list[str]:
    try:
        bits = int(throttled or "0", 16)
    except ValueError:
        return []
    return [name for bit, name in PI_FLAGS.items() if bits >> bit & 1]


def _later_over_earlier(item: Repetition) -> float:
    tenth = max(1, len(item.samples_ns) // 10)
    return median(item.samples_ns[-tenth:]) / median(item.samples_ns[:tenth])


def _charging(run: Run) -> Iterator[str]:
    if run.environment.before.charging:
        yield "its battery was being charged, which warms it: unplug it and measure over Wi-Fi, or let it get full"


def _shared(run: Run) -> Iterator[str]:
    stolen = max((item.stolen or 0.0 for item in run.repetitions), default=0.0)
    if stolen > STOLEN:
        yield f"the hypervisor took {stolen:.0%} of the CPU time away: measure on a machine of its own"
    switches = max((_switches_per_s(item) for item in run.repetitions), default=0.0)
    if switches > SWITCHES_PER_S:
        yield f"other programs took its core {switches:.0f} times a second: let nothing else run, and measure again"
    load, cores = run.environment.before.load1, run.environment.cores
    if load is not None and load > cores:
        yield f"the load was {load:.1f} on {cores} cores before it began: let nothing else run, and measure again"


def _switches_per_s(item: Repetition) -> float:
    if item.interruptions is None:
        return 0.0
    return item.interruptions / max(1.0, sum(item.samples_ns) / 1e9)


def _noisy(run: Run, summary: Summary) -> Iterator[str]:
    apart = summary.between_processes
    if apart is not None and apart > APART and run.schedule.mode != "cold":
        yield f"the medians of its processes lie {apart:.0%} apart: let nothing else run, and measure again"
    if not all(item.settled for item in run.repetitions):
        yield "warm-up ended before latency was steady: the clock may still have been changing"
    missed = sum(item.missed_periods for item in run.repetitions)
    if missed:
        yield f"{missed} periods passed while an inference still ran: the device cannot keep this rate up"
    if run.stopped == "budget":
        yield "the precision asked for was not reached within the budget: give it more time with --budget"
