"""An open serial line, read by patterns and single bytes: what hand-made protocols and consoles need."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from edgekit.errors import DeviceError
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.port import open_port

if TYPE_CHECKING:
    from serial import SerialBase

_CHUNK_BYTES: Final = 4096
_TYPED_BYTES: Final = 16
"""What the smallest receive buffer of a UART holds (16550)."""

_LOOK_S: Final = 0.25
"""How often a wait looks whether it is over."""


class Line:
    """An open line."""

    def __init__(self, port: "SerialBase", where: SerialUrl) -> None:
        self.name = where.port
        self.baud = where.baud
        self._port = port

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            DeviceError: The port is gone.
        """
        try:
            self._port.write(data)
        except (OSError, ValueError, TypeError) as error:  # pyserial's, when the port was closed meanwhile
            raise self._gone(error) from error

    def type(self, text: str) -> None:
        """Type a line at a prompt, no faster than the line carries it, so that no UART's buffer runs over there.

        Raises:
            DeviceError: The port is gone.
        """
        data = text.encode() + b"\r"
        for start in range(0, len(data), _TYPED_BYTES):
            piece = data[start : start + _TYPED_BYTES]
            self.write(piece)
            time.sleep(len(piece) * 10 / self.baud)

    def read(self, timeout_s: float) -> bytes:
        """What has come, waiting for at least a byte of it; empty when none came in time.

        Raises:
            DeviceError: The port is gone.
        """
        first = self._take(1, timeout_s)
        return first + (self._take(_CHUNK_BYTES, 0) if first else b"")

    def byte(self, timeout_s: float) -> int:
        """The next byte; -1 when none came in time.

        Raises:
            DeviceError: The port is gone.
        """
        found = self._take(1, timeout_s)
        return found[0] if found else -1

    def until(self, pattern: bytes, timeout_s: float) -> tuple[bytes, "re.Match[bytes] | None"]:
        """Read until a pattern (of `re`) is there; what came, and the match, or None when it did not come in time."""
        deadline, heard = time.monotonic() + timeout_s, b""
        while (left := deadline - time.monotonic()) > 0:
            heard += self.read(min(left, _LOOK_S))
            if found := re.search(pattern, heard):
                return heard, found
        return heard, None

    def drain(self, quiet_s: float, *, most_s: float = 2.0) -> bytes:
        """Read until nothing has come for `quiet_s`, for at most `most_s`."""
        deadline, heard = time.monotonic() + most_s, b""
        while time.monotonic() < deadline and (chunk := self.read(quiet_s)):
            heard += chunk
        return heard

    def _take(self, most: int, timeout_s: float) -> bytes:
        try:
            self._port.timeout = timeout_s
            return bytes(self._port.read(most))
        except (OSError, ValueError, TypeError) as error:  # as above
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> DeviceError:
        return DeviceError(
            f"The serial port {self.name} broke: {error}.",
            hint="Is the cable in, and the board on? A port that comes back may have another name.",
            transient=True,
        )


@contextmanager
def open_line(where: SerialUrl) -> Iterator[Line]:
    """Have a line for oneself; it is closed at the end whatever happens, Ctrl-C too.

    Raises:
        UsageError: pyserial is missing, or it knows no such port.
        DeviceError: It does not open.
    """
    with open_port(where) as port:
        yield Line(port, where)


def last_words(heard: bytes) -> str:
    """The end of what was heard, on one line, without what a terminal would obey."""
    lines = [line.strip() for line in heard.decode("ascii", "replace").splitlines() if line.strip()]
    return " / ".join("".join(letter for letter in line if letter.isprintable()) for line in lines[-3:])[-200:]
