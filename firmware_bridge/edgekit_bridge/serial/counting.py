"""What a board's ticks are: time on a real board, instructions under QEMU with `-icount`."""

from typing import Final, NamedTuple

from edgekit.run import Clock
from edgekit_bridge.serial.board import BoardFacts

_NS: Final = 1_000_000_000

_MOST_SHIFT: Final = 10
"""The largest shift that QEMU takes (`qemu-system-arm` manual, `-icount`)."""

_EXACT: Final = 0.002
"""How far the ticks of a loop may be from those of its instructions: a tick in 5,000."""


class Ticks(NamedTuple):
    """How ticks become a run's figures.

    Attributes:
        clock: What the figures are: nanoseconds (`wall`) or `instructions`.
        each: What one tick is of them.
    """

    clock: Clock
    each: float

    def figure(self, ticks: int) -> int:
        """Nanoseconds or instructions; at least one, for a model that is done within a tick."""
        return max(1, round(ticks * self.each))


def read_ticks(facts: BoardFacts) -> Ticks:
    """What this board's ticks are.

    Under `-icount shift=N` an instruction takes 2^N ns of the emulated clock. Whether that holds shows in a loop of
    known length that the firmware runs at its start.
    """
    each_ns = _NS / facts.ticks_hz
    if facts.emulated and facts.spin_ticks:
        spin_ns = facts.spin_ticks * each_ns / facts.spin_instructions
        for shift in range(_MOST_SHIFT + 1):
            if abs(spin_ns / 2**shift - 1) < _EXACT:
                return Ticks("instructions", each_ns / 2**shift)
    return Ticks("wall", each_ns)
