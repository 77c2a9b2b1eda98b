"""One login at a console: small scripts run there one after the other, each checked, and asked for again if need be.

The other end is `driver.sh`, which tells how both speak.
"""

import base64
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.serial_url import SerialUrl
from edgekit_bridge.console.cksum import cksum
from edgekit_bridge.console.login import Login, last_words
from edgekit_bridge.serial.line import Line, open_line

_DRIVER: Final = Path(__file__).with_name("driver.sh")

TRIES: Final = 8
_SILENCE_S: Final = 4.0
"""Without a byte for so long the answer is not coming: the line or the answer was lost."""

_START_S: Final = 20.0

_BOOT: Final = (
    " sh -c 'T=$(stty -g); stty -echo -icanon -opost -ixon min 1 time 0; echo ek''go; IFS= read -r l;"
    ' eval "$(printf %s "$l"|base64 -d)"\''
)
"""Typed at the prompt: short, since busybox's line editor takes 1,024 letters. The space keeps it out of histories."""


class Session:
    """A shell at the console that does as we say."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._numbers = count(1)
        self.piece_bytes = min(1 << 17, max(1 << 10, line.baud // 10))
        """What travels at once: about a second's worth at the rates of UARTs."""

    def call(self, script: str, data: bytes = b"") -> bytes:
        """Run a short script there; gives what it wrote.

        Args:
            script: POSIX shell; it has the functions of `driver.sh`, and `$D/d` with the data.
            data: Up to `piece_bytes`.

        Raises:
            DeviceError: It failed; or the line broke, or stays too bad.
        """
        with self._lock:
            number = str(next(self._numbers))
            status, output = self._exchange(number, base64.b64encode(script.encode()), base64.b64encode(data))
        if status:
            raise DeviceError(f"{self._line.name}: {last_words(output) or f'a script failed ({status})'}")
        return output

    def quit(self) -> None:
        """Give the console back to its shell."""
        self._line.write(_framed(b"0", b"QUIT", b""))
        self._line.drain(0.2, most_s=2.0)

    def _exchange(self, number: str, script: bytes, data: bytes) -> tuple[int, bytes]:
        pattern = re.compile(rb"ek " + number.encode() + rb" (?:bad|(\d+) (\d+) ([A-Za-z0-9+/=]*)) ke")
        for _ in range(TRIES):
            self._line.write(_framed(number.encode(), script, data))
            answer = self._await(pattern)
            if answer is not None and answer[1] is not None and cksum(answer[3]) == int(answer[2]):
                with suppress(ValueError):
                    return int(answer[1]), base64.b64decode(answer[3], validate=True)
        raise DeviceError(
            f"The console at {self._line.name} does not answer any more, or not understandably.",
            hint="Look at the cable; a lower baud rate on both sides is slower and safer.",
            transient=True,
        )

    def _await(self, pattern: "re.Pattern[bytes]") -> "re.Match[bytes] | None":
        heard = bytearray()
        while chunk := self._line.read(_SILENCE_S):
            heard += chunk
            if chunk.endswith((b"ke\n", b"ke\r\n")) or b" ke" in heard[-len(chunk) - 4 :]:
                found = pattern.search(heard)
                if found:
                    return found
        return None


def _framed(number: bytes, script: bytes, data: bytes) -> bytes:
    """A line, after the end of whatever may stand there already."""
    return b"\nEK %b %d %b %d\n%b" % (number, cksum(script + b" " + data), script, len(data), data)


@contextmanager
def open_session(where: SerialUrl, *, user: str, timeout_s: float) -> Iterator[Session]:
    """Log in, and have the console until the end; then all is as it was: logged out, or the shell at its prompt.

    Raises:
        UsageError: pyserial is missing, or it knows no such port.
        DeviceError: The port does not open, nobody answers, or not a Linux shell.
    """
    with open_line(where) as line:
        login = Login(line, user)
        login.shell(timeout_s)
        session = _started(line, login)
        try:
            yield session
        finally:
            with suppress(DeviceError):
                session.quit()
                if login.logged_in:
                    login.type("exit")
                line.drain(0.1, most_s=1.0)


def _started(line: Line, login: Login) -> Session:
    """A session whose driver runs.

    Raises:
        DeviceError: It does not start there.
    """
    line.drain(0.05, most_s=0.5)
    login.type(_BOOT)
    said, found = line.until(rb"ekgo\r?\n", _START_S)
    if found:
        line.write(base64.b64encode(_script().encode()) + b"\n")
        said, found = line.until(rb"ek ready ke", _START_S)
    if found is None:
        raise DeviceError(
            f"The shell at {line.name} cannot do what edgekit needs: {last_words(said) or 'it says nothing'}",
            hint="It needs sh, stty, base64, cksum, mkfifo and mktemp (coreutils, or busybox 1.30 and newer).",
        )
    time.sleep(0.05)
    return Session(line)


@cache
def _script() -> str:
    lines = _DRIVER.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.startswith("#")) + "\n"
