"""Frames on a serial line: COBS(body, CRC-32), ended by a zero byte; with Reed-Solomon parity where a line is bad.

docs/serial-protocol.md has it in full; the firmware's side is `edgekit_frame.c`.
"""

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from edgekit_bridge.serial.reed_solomon import MOST, correct, protect

CRC_BYTES: Final = 4

MOST_PROTECTED: Final = MOST - 1
"""The longest body and CRC of a frame with parity: COBS takes a byte of the block."""

_GROUP: Final = 254
"""The longest run without a zero that a COBS code byte stands for."""


class Frame(NamedTuple):
    """What a frame brought.

    Attributes:
        body: Without the CRC.
        protected: Whether it carried parity.
        errors: How many of its bytes were put right.
    """

    body: bytes
    protected: bool
    errors: int


def stuff(data: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing (Cheshire and Baker 1999): the same without a zero."""
    out = bytearray()
    *inner, last = data.split(b"\0")
    for run in inner:
        whole = len(run) - len(run) % _GROUP
        for place in range(0, whole, _GROUP):
            out += b"\xff" + run[place : place + _GROUP]
        out += bytes([len(run) - whole + 1]) + run[whole:]
    while len(last) > _GROUP:
        out += b"\xff" + last[:_GROUP]
        last = last[_GROUP:]
    return bytes(out) + bytes([len(last) + 1]) + last


def unstuff(data: bytes) -> bytes | None:
    """The other way; None for what is no such code."""
    out = bytearray()
    place = 0
    while place < len(data):
        code = data[place]
        if code == 0 or place + code > len(data):
            return None
        out += data[place + 1 : place + code]
        place += code
        if code <= _GROUP and place < len(data):
            out.append(0)
    return bytes(out)


def make_frame(body: bytes, *, protected: bool = False) -> bytes:
    """What goes onto the line for a body.

    Args:
        body: Not empty; with `protected` up to `MOST_PROTECTED` less the CRC.
        protected: Add parity that puts up to eight wrong bytes right, and a second zero at the end.
    """
    stuffed = stuff(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little"))
    return protect(stuffed) + b"\0\0" if protected else stuffed + b"\0"


def open_frame(wire: bytes) -> Frame | None:
    """What is in the bytes between two zeros; None when it is damaged beyond repair."""
    body = _checked(wire)
    if body is not None:
        return Frame(body, protected=False, errors=0)
    repaired = correct(wire)
    body = _checked(repaired.content) if repaired else None
    return None if repaired is None or body is None else Frame(body, protected=True, errors=repaired.errors)


def _checked(stuffed: bytes) -> bytes | None:
    data = unstuff(stuffed)
    if data is None or len(data) <= CRC_BYTES:
        return None
    body = data[:-CRC_BYTES]
    return body if zlib.crc32(body) == int.from_bytes(data[-CRC_BYTES:], "little") else None


class FrameReader:
    """Finds frames in a stream of bytes, whatever else is in it.

    Args:
        most_bytes: The longest frame on the line; of what is longer without a zero nothing is kept.

    Attributes:
        damaged: How many frames were lost, as far as they could be told apart.
    """

    def __init__(self, most_bytes: int = 1 << 16) -> None:
        self._most_bytes = most_bytes
        self._rest = bytearray()
        self._overlong = False
        self.damaged = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that end in these bytes."""
        *ended, rest = data.split(b"\0")
        for piece in ended:
            self._keep(piece)
            wire, whole = bytes(self._rest), not self._overlong
            self.forget()
            found = open_frame(wire) if whole and wire else None
            if found:
                yield found
            elif wire or not whole:
                self.damaged += 1
        self._keep(rest)

    def forget(self) -> None:
        """Drop an unfinished frame: its rest does not come any more."""
        self._rest.clear()
        self._overlong = False

    def _keep(self, piece: bytes) -> None:
        if len(self._rest) + len(piece) > self._most_bytes:
            self._overlong = True
        else:
            self._rest += piece
