"""Get a shell at a serial console: log in where that is asked for, and know a shell from everything else.

getty and login: util-linux, agetty(8), login(1); busybox has its own of the same words.
"""

import os
import re
import sys
import time
from getpass import getpass
from typing import Final

from edgekit.errors import DeviceError
from edgekit_bridge.serial.line import Line, last_words

PASSWORD: Final = "EDGEKIT_CONSOLE_PASSWORD"  # noqa: S105 - the variable's name
"""Holds the password; it is asked for on a terminal where that is not set."""

_NUDGE_S: Final = 2.0
"""How long one waits for an answer before one asks again."""

_THINKS_S: Final = 8.0
_QUIET_S: Final = 0.15

_LOGIN: Final = re.compile(rb"(?:login|Login|user|username):[ \t]*$")
_PASSWORD: Final = re.compile(rb"[Pp]assword(?: for \S+)?:[ \t]*$")
_WRONG: Final = re.compile(rb"[Ll]ogin incorrect|[Aa]uthentication failure|[Ll]ogin failed")
_UBOOT: Final = re.compile(rb"ek\$\(\(|[Uu]nknown command|U-Boot")

_ANSWER: Final = b"ek42"


class Login:
    """Logging in over one line."""

    def __init__(self, line: Line, user: str) -> None:
        self._line = line
        self._user = user
        self.logged_in = False
        """Whether there was nobody before: who logs in also logs out."""
        self._tried = False

    def shell(self, timeout_s: float) -> None:
        """Until a shell answers.

        Raises:
            DeviceError: None does: what answers instead.
        """
        deadline, heard = time.monotonic() + timeout_s, b""
        nudges = iter((b"\r", b"\x03\r", b"\r"))
        while time.monotonic() < deadline:
            nudge = b"" if heard else next(nudges, None)
            self._line.write(nudge or b"")
            heard = (heard + self._line.drain(_QUIET_S, most_s=_NUDGE_S))[-4096:]
            if self._tried and _WRONG.search(heard):
                raise self._refused()
            if _PASSWORD.search(heard):
                heard = self._tell(self._password() if self.logged_in else "")
                self._tried = self.logged_in
            elif _LOGIN.search(heard):
                heard, self.logged_in = self._tell(self._name()), True
            elif heard or nudge is None:
                heard = self._ask(min(_NUDGE_S, max(0.1, deadline - time.monotonic())))
                if heard.endswith(_ANSWER):
                    return
            else:
                heard = self._line.read(_QUIET_S * 4)
        what = f" Heard last: {last_words(heard)}" if heard.strip() else ""
        raise DeviceError(
            f"No shell answers at {self._line.name} ({self._line.baud} baud).{what}",
            hint="Does the board run, and log in at this port (console=ttyS0,115200 and a getty)? Is ?baud= right, and "
            "are TX and RX crossed?",
            transient=True,
        )

    def _tell(self, text: str) -> bytes:
        """Type it; what comes after it was echoed: login(1) thinks for a while, some seconds when it was wrong."""
        self._line.type(text)
        return self._line.until(rb"\n\s*\S", _THINKS_S)[0].partition(b"\n")[2]

    def _ask(self, timeout_s: float) -> bytes:
        """Ask whether it is a shell, which computes: what it is told is echoed, its answer is not; what it said."""
        self._line.type("echo ek''$((6*7))")
        said, found = self._line.until(rb"ek42\r?\n|" + _LOGIN.pattern + rb"|" + _PASSWORD.pattern, timeout_s)
        if _UBOOT.search(said.replace(b"ek''$((", b"")):
            raise DeviceError(
                f"U-Boot answers at {self._line.name}, not Linux.",
                hint="Boot it (`boot`), or flash by U-Boot: edgekit flash FILE --method ymodem",
            )
        return _ANSWER if found and found[0].startswith(b"ek42") else said

    def _name(self) -> str:
        if not self._user:
            raise DeviceError(
                f"{self._line.name} asks who logs in.", hint="Say it in the device's URL: serial-console:…?login=root"
            )
        return self._user

    def _password(self) -> str:
        if PASSWORD in os.environ:
            return os.environ[PASSWORD]
        if sys.stdin.isatty():
            return getpass(f"Password of {self._user} at {self._line.name}: ")
        raise DeviceError(
            f"{self._line.name} asks for the password of {self._user or 'who logs in'}.", hint=f"Set {PASSWORD}."
        )

    def _refused(self) -> DeviceError:
        return DeviceError(
            f"{self._line.name} did not let {self._user or 'us'} in.",
            hint=f"Look at ?login= in the device's URL and at {PASSWORD}.",
        )
