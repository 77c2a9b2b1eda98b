"""Bytes to and from a serial line: as many as there are, as soon as they come."""

import os
import select
import time
from typing import TYPE_CHECKING, Final, Protocol

from edgekit.errors import DeviceError

if TYPE_CHECKING:
    from serial import SerialBase

_MOST_BYTES: Final = 1 << 16


def printable(data: bytes) -> str:
    """Text from a board, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in data.decode(errors="replace")).strip()


class ByteStream(Protocol):
    """A line to a device that answers in bytes.

    Attributes:
        name: What the line is called.
        baud: Its rate, bits a second.
    """

    name: str
    baud: int

    def read(self, timeout_s: float) -> bytes:
        """What has come, or comes first within this time; empty when nothing does.

        Raises:
            DeviceError: The line is gone.
        """

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            DeviceError: The line is gone, or takes nothing.
        """

    def set_baud(self, baud: int) -> None:
        """Send what is left, then use another rate."""


class PortStream:
    """A port that pyserial has opened.

    pyserial's own `read` gives a socket's bytes one at a time, or waits for a number of them: where the system has a
    descriptor it is read directly.
    """

    def __init__(self, port: "SerialBase") -> None:
        self._port = port
        self.name = str(port.port)
        self.baud = int(port.baudrate)
        try:
            self._descriptor: int | None = port.fileno()
        except (AttributeError, OSError):
            self._descriptor = None

    def read(self, timeout_s: float) -> bytes:
        """See `ByteStream`."""
        try:
            if self._descriptor is None:
                self._port.timeout = timeout_s
                return bytes(self._port.read(max(1, self._port.in_waiting)))
            if not select.select([self._descriptor], [], [], timeout_s)[0]:
                return b""
            data = os.read(self._descriptor, _MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from None
        if not data:
            raise self._gone("the other end closed it")
        return data

    def write(self, data: bytes) -> None:
        """See `ByteStream`."""
        # At the line's rate, and ten seconds more, it has taken everything, or nobody takes it.
        deadline = time.monotonic() + 10 * len(data) / self.baud + 10
        try:
            if self._descriptor is None:
                self._port.write(data)
                return
            view = memoryview(data)
            while view:
                if not select.select([], [self._descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
                    raise self._gone("it takes no bytes")
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from None

    def set_baud(self, baud: int) -> None:
        """See `ByteStream`."""
        self._port.flush()
        self._port.baudrate = self.baud = baud

    def _gone(self, why: str) -> DeviceError:
        return DeviceError(
            f"The line {self.name} is gone: {why}.", hint="Is the board still plugged in and running?", transient=True
        )
