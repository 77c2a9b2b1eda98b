"""U-Boot's command line over a serial port: commands with their output and exit code (docs.u-boot.org, Hush shell).

What was typed comes back as an echo, and prompts differ from board to board, so that neither can be trusted: each
command ends with an `echo` of a mark that is typed with quotes in it and comes back without them.
"""

import re
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from edgekit.errors import DeviceError
from edgekit_bridge.serial.line import Line, last_words

PROMPT_S: Final = 20.0
"""How long U-Boot may take to its prompt: it counts seconds down, and looks for things to boot from."""

_LOGIN: Final = re.compile(rb"login: *$|[Pp]assword: *$|Linux version \d")


class UBoot:
    """U-Boot at its prompt."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._marks = count(1)

    def wait(self, timeout_s: float = PROMPT_S) -> None:
        """Stop the countdown, and see that commands are answered.

        Raises:
            DeviceError: They are not: what answers instead.
        """
        deadline, heard = time.monotonic() + timeout_s, b""
        while time.monotonic() < deadline:
            self._line.write(b"\x03\r")
            heard += self._line.drain(0.2, most_s=1.0)
            mark = f"ready{next(self._marks)}"
            self._line.type(f"echo ek''{mark}")
            said, found = self._line.until(rb"\nek" + mark.encode() + rb"\r?\n", 1.5)
            heard += said
            if found:
                self._line.drain(0.05, most_s=0.5)
                return
            if _LOGIN.search(heard):
                raise DeviceError(
                    f"Linux answers at {self._line.name}, not U-Boot.",
                    hint="Restart the board while this command runs, so that it can stop the countdown; "
                    "files of a running Linux go by serial-console://",
                )
        what = f" Heard last: {last_words(heard)}" if heard.strip() else " It says nothing."
        raise DeviceError(
            f"U-Boot did not answer at {self._line.name} within {timeout_s:g} s.{what}",
            hint="Restart the board while this command runs; look at --baud (115200 as a rule) and the port.",
            transient=True,
        )

    def run(self, command: str, timeout_s: float, talk: Callable[[], None] | None = None) -> bytes:
        """Run a command; gives what it wrote.

        Args:
            command: As it is typed.
            timeout_s: The longest it may take after `talk`.
            talk: What is to be done on the line while it runs.

        Raises:
            DeviceError: It failed, or did not end.
        """
        mark = f"ek{next(self._marks)}end"
        self._line.drain(0.02, most_s=0.5)
        self._line.type(f"{command}; echo {mark[:2]}''{mark[2:]} $?")
        if talk is not None:
            talk()
        said, found = self._line.until(rb"\n" + mark.encode() + rb" (\d+)\r?\n", timeout_s)
        if found is None:
            raise DeviceError(
                f"U-Boot did not end {command!r} within {timeout_s:g} s.", hint=f"Heard last: {last_words(said)}"
            )
        output = said[: found.start()].partition(b"\n")[2] if talk is None else said[: found.start()]
        if found[1] != b"0":
            raise DeviceError(
                f"U-Boot could not do {command!r}: {last_words(output)}", hint="Try it by hand at U-Boot's prompt."
            )
        return output

    def start(self, command: str) -> None:
        """Type a command that does not come back, such as `go`."""
        self._line.type(command)
