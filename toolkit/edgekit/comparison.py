"""Two runs side by side: is the new one slower, and is that sure enough to stop a release.

Pure: takes runs, gives values; `edgekit_cli.render.comparison` shows them.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from edgekit.differences import Difference, differences
from edgekit.errors import UsageError
from edgekit.report import Figures, figures
from edgekit.run import Run
from edgekit.stats import Ratio, paired_ratio, ratio
from edgekit.verdict import APART

Outcome: TypeAlias = Literal["faster", "slower", "same", "cannot tell"]

DEFAULT_BAND: Final = 0.02
"""The noise band, relative, of a device that `edgekit calibrate-noise` has not met: changes in it decide nothing.

It is the tolerance within which the harness agrees with a bare loop on the same runtime (`scripts/bench harness`).
"""


COUNTED_BAND: Final = 0.005
"""The band where instructions are counted: what five runs on a busy host may differ by (`scripts/bench counted`)."""

UNSTEADY_FACTOR: Final = 2.0
"""How many times the spread between the processes of an unsteady run a change must be, to be another's than its own.

Measured: of 105 comparisons of 15 runs of one artifact, all taken apart on a shared machine, 11 told a difference; all
were of runs whose verdict was not steady, at most 1.8 times their spread.
"""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A new run against a base.

    Attributes:
        base: The run compared with.
        new: The run compared.
        median: The new median latency over the base's; None when a run has too few processes to say.
        outcome: `slower` or `faster`: the interval leaves 1 out and the ratio lies outside of the band. `same`: the
            interval lies within the band, or the ratio does and 1 is left out. Else, or when `unsteady`, `cannot tell`.
        band: Changes within it are noise, relative.
        unsteady: They were taken apart, one is not steady, and the change is no larger than such runs make themselves.
        differences: What differs between the runs beside the latency, the likeliest explanation first.
        forced: Why the two would not be compared; empty when nothing stood against it.
    """

    base: Figures
    new: Figures
    median: Ratio | None
    outcome: Outcome
    band: float
    unsteady: bool
    differences: tuple[Difference, ...]
    forced: tuple[str, ...] = ()


def compare(base: Run, new: Run, *, band: float = DEFAULT_BAND, force: bool = False) -> Comparison:
    """Compare two runs; those of `benchmark_pair` process by process.

    Args:
        base: What to compare with.
        new: What is compared.
        band: The device's noise band, relative: 0.02 is 2 %.
        force: Compare all the same what is not comparable; `Comparison.forced` says what it was.

    Raises:
        UsageError: The runs differ in device, kind of device, mode or clock, and `force` is not set.
    """
    against = _objections(base, new)
    if against and not force:
        raise UsageError(
            f"Run {new.id} cannot be compared with {base.id}: {'; '.join(against)}.",
            hint="Measure both on one device in one way, or compare all the same with --force.",
        )
    taken_in_turns = bool(base.pair) and base.pair == new.pair
    found = (paired_ratio if taken_in_turns else ratio)(base.samples_ns, new.samples_ns)
    both = figures(base), figures(new)
    unsteady = not taken_in_turns and found is not None and _within_unsteadiness(found, both)
    return Comparison(
        base=both[0],
        new=both[1],
        median=found,
        outcome="cannot tell" if unsteady else judge_ratio(found, band),
        band=band,
        unsteady=unsteady,
        differences=tuple(differences(base, new)),
        forced=tuple(against),
    )


def judge_ratio(found: Ratio | None, band: float) -> Outcome:
    """What a ratio with its interval says, when changes within `band` are noise (see `Comparison.outcome`)."""
    if found is None:
        return "cannot tell"
    low, high = 1 / (1 + band), 1 + band
    if found.low > 1 and found.value > high:
        return "slower"
    if found.high < 1 and found.value < low:
        return "faster"
    sure = found.low > 1 or found.high < 1
    within = low <= found.low and found.high <= high
    return "same" if within or (sure and low <= found.value <= high) else "cannot tell"


def _within_unsteadiness(found: Ratio, both: tuple[Figures, Figures]) -> bool:
    """Whether a change may be what an unsteady run did by itself: others were on the machine, or its clock fell."""
    if all(side.verdict.kind == "steady" for side in both):
        return False
    spread = max(APART, *(side.summary.between_processes or 0.0 for side in both))
    return max(found.value, 1 / found.value) <= 1 + UNSTEADY_FACTOR * spread


def _objections(base: Run, new: Run) -> Sequence[str]:
    facts = (
        ("kinds of machine", base.environment.kind, new.environment.kind),
        ("devices", base.device, new.device),
        ("CPUs", base.environment.cpu, new.environment.cpu),
        ("modes", base.schedule.mode, new.schedule.mode),
        ("clocks", base.schedule.clock, new.schedule.clock),
    )
    return [f"they are from different {what}, {one} and {other}" for what, one, other in facts if one != other]
