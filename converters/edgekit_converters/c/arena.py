"""Where each tensor lies in the one arena: tensors that are never alive at the same time share bytes.

Placing rectangles (a size over a span of time) in the least height is NP-hard. As TFLite does we place greedily, each
buffer at the lowest gap that fits, and unlike it we try several orders and keep the best (Pisarchyk and Lee, "Efficient
Memory Management for Deep Neural Net Inference", 2020); nothing is below the most that is alive at once.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

ALIGNMENT: Final = 16
"""Bytes: what the widest load of any core we compile for wants."""

_SHUFFLES: Final = 200
"""How many random orders are tried where the named ones do not reach the bound."""


class Buffer(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that are needed from step `first` to step `last`, both included."""

    key: int
    bytes: int
    first: int
    last: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Each buffer's offset, and the arena's size, bytes."""

    offsets: Mapping[int, int]
    bytes: int


def plan_arena(buffers: Sequence[Buffer]) -> Plan:
    """Place the buffers; of several plans the smallest."""
    least = bound(buffers)
    best: Plan | None = None
    for order in _orders(buffers):
        plan = _place(order)
        if best is None or plan.bytes < best.bytes:
            best = plan
        if best.bytes == least:
            break
    return best or Plan(offsets={}, bytes=0)


def aligned(size: int) -> int:
    """A size rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes that are alive at once."""
    steps = {buffer.first for buffer in buffers}
    alive = (sum(aligned(item.bytes) for item in buffers if item.first <= step <= item.last) for step in steps)
    return max(alive, default=0)


def _orders(buffers: Sequence[Buffer]) -> Sequence[Sequence[Buffer]]:
    by_size = sorted(buffers, key=lambda item: (-item.bytes, item.first))
    by_area = sorted(buffers, key=lambda item: -item.bytes * (item.last - item.first + 1))
    by_time = sorted(buffers, key=lambda item: (item.first, -item.bytes))
    by_span = sorted(buffers, key=lambda item: (item.first - item.last, -item.bytes))
    dice = random.Random(0)  # noqa: S311 - the same plan every time is what is wanted
    shuffled = [dice.sample(by_size, len(by_size)) for _ in range(_SHUFFLES)]
    return [by_size, by_area, by_time, by_span, *shuffled]


def _place(order: Sequence[Buffer]) -> Plan:
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        rivals = [
            (at, at + aligned(it.bytes)) for at, it in placed if it.first <= buffer.last and buffer.first <= it.last
        ]
        placed.append((_gap(sorted(rivals), aligned(buffer.bytes)), buffer))
    end = max((at + aligned(item.bytes) for at, item in placed), default=0)
    return Plan(offsets={item.key: at for at, item in placed}, bytes=end)


def _gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The offset of the smallest gap that fits, else the end of what is taken."""
    best, best_size, end = None, 0, 0
    for start, stop in taken:
        if start - end >= size and (best is None or start - end < best_size):
            best, best_size = end, start - end
        end = max(end, stop)
    return end if best is None else best
