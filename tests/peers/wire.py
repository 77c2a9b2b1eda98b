"""A serial line that can be bad: two ptys, and a thread that carries bytes between them and may spoil them."""

import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator

import pytest

Spoil = Callable[[bytes], bytes]
MakeWire = Callable[[Spoil], "Wire"]


class Wire:
    """Two ptys with a thread between them, which carries bytes and can spoil them."""

    def __init__(self, spoil: Spoil) -> None:
        self._ends = [pty.openpty() for _ in range(2)]
        for master, slave in self._ends:
            tty.setraw(master)
            tty.setraw(slave)
        self.near, self.far = (os.ttyname(slave) for _, slave in self._ends)
        self._stop = threading.Event()
        (one, _), (two, _) = self._ends
        ways = ((one, two, spoil), (two, one, lambda data: data))
        self._threads = [threading.Thread(target=self._carry, args=way, daemon=True) for way in ways]
        for thread in self._threads:
            thread.start()

    def _carry(self, source: int, sink: int, spoil: Spoil) -> None:
        while not self._stop.is_set():
            if select.select([source], [], [], 0.05)[0]:
                os.write(sink, spoil(os.read(source, 1 << 16)))

    def close(self) -> None:
        """End it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for descriptor in (item for end in self._ends for item in end):
            os.close(descriptor)


def unspoilt(data: bytes) -> bytes:
    """A good line."""
    return data


class Fickle:
    """A line that is good at first; how it spoils can be changed while it is used."""

    way: Spoil = staticmethod(unspoilt)

    def __call__(self, data: bytes) -> bytes:
        """What comes through."""
        return self.way(data)


@pytest.fixture
def wire() -> Iterator[MakeWire]:
    """Makes lines that spoil what goes from here to there."""
    made: list[Wire] = []

    def make(spoil: Spoil) -> Wire:
        made.append(Wire(spoil))
        return made[-1]

    yield make
    for item in made:
        item.close()
