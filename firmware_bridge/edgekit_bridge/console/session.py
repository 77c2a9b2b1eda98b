"""One login at a console: small scripts run there one after the other, each checked, and asked for again if need be.

The other end is `driver.sh`, which tells how both speak.
"""

import base64
import re
import threading
import time
from contextlib import ExitStack, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.serial_url import SerialUrl
from edgekit_bridge.console.cksum import cksum
from edgekit_bridge.console.login import Login
from edgekit_bridge.serial.line import Line, last_words, open_line

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
        self.broken = False
        """Whether the line broke: what was run here is lost, and another session may do better."""
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
            try:
                status, output = self._exchange(number, base64.b64encode(script.encode()), base64.b64encode(data))
            except DeviceError:
                self.broken = True
                raise
        if status:
            raise DeviceError(f"{self._line.name}: {last_words(output) or f'a script failed ({status})'}")
        return output

    def quit(self, *, log_out: bool) -> None:
        """Give the console back to its shell, and leave that too when we logged in."""
        self._line.write(_framed(b"0", b"QUIT", b""))
        self._line.drain(0.2, most_s=2.0)
        if log_out:
            self._line.write(b"exit\r")
        self._line.drain(0.1, most_s=1.0)

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


class Console:
    """A console to have sessions at: another one when the line broke, as the board restarted for example."""

    def __init__(self, where: SerialUrl, *, user: str, timeout_s: float) -> None:
        self._where = where
        self._user = user
        self._timeout_s = timeout_s
        self._open = ExitStack()
        self._session: Session | None = None
        self._logged_in = False
        self._lock = threading.Lock()

    def session(self) -> Session:
        """A session that is not known to be broken.

        Raises:
            UsageError: pyserial is missing, or it knows no such port.
            DeviceError: The port does not open, nobody answers, or not a Linux shell.
        """
        with self._lock:
            if self._session is None or self._session.broken:
                self._open.close()
                self._session = None
                line = self._open.enter_context(open_line(self._where))
                login = Login(line, self._user)
                login.shell(self._timeout_s)
                self._logged_in |= login.logged_in
                self._session = _started(line)
            return self._session

    def close(self) -> None:
        """Leave all as it was: logged out when we logged in, else the shell at its prompt."""
        session, self._session = self._session, None
        with self._open, suppress(DeviceError):
            if session is not None:
                session.quit(log_out=self._logged_in)


def _started(line: Line) -> Session:
    """A session whose driver runs.

    Raises:
        DeviceError: It does not start there.
    """
    line.drain(0.05, most_s=0.5)
    line.type(_BOOT)
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
