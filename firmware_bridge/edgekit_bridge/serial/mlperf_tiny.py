"""The text protocol of MLPerf Tiny firmware: commands that end with `%`, lines that end with `m-ready`.

Words and rules are those of the reference firmware (mlcommons/tiny, `benchmark/api/internally_implemented.cpp`): one
command of up to 80 characters at a time, answered before the next may come; `db load N`, then bytes as hexadecimal
digits; `infer N W` runs W inferences without and N with a timestamp before and after.
"""

import re
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from edgekit.errors import MeasurementError
from edgekit_bridge.serial.stream import ByteStream, printable

COMMAND_BYTES: Final = 80
"""The firmware's command buffer (`EE_CMD_SIZE`)."""

LOAD_BYTES: Final = (COMMAND_BYTES - len("db ")) // 2
"""How many bytes a command brings."""

_READY: Final = "m-ready"
_ANSWER_S: Final = 2.0
_TRIES: Final = 4
_QUIET_S: Final = 0.15
_WRAP_US: Final = 2**32
"""Where a timestamp of 32 bits begins again."""


class Inference(NamedTuple):
    """What `infer` told: microseconds of all inferences together, and the outputs one after the other."""

    elapsed_us: int
    results: tuple[float, ...]


class RefusedError(Exception):
    """The firmware answered with `e-[…]`."""


class TextBoard:
    """MLPerf Tiny firmware at the other end of a line.

    Args:
        stream: The line.

    Attributes:
        name: What the board calls itself.
        profile: The firmware's profile.
        model: The model, as the firmware calls it (`kws01`).

    Raises:
        MeasurementError: Nothing answers, or something else than such firmware.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._rest = b""
        self.name = _within("m-name-", self._again("name"))
        lines = self._again("profile")
        self.profile, self.model = (_within(word, lines) for word in ("m-profile-", "m-model-"))

    def load(self, data: bytes) -> None:
        """Fill the buffer that inputs are taken from.

        Raises:
            MeasurementError: The firmware takes another number of bytes, or does not get them.
        """
        for left in range(_TRIES - 1, -1, -1):
            try:
                if self._load(data):
                    return
            except (RefusedError, TimeoutError) as error:
                if not left:
                    raise self._failed(f"takes no input of {len(data)} bytes: {error}") from None
        raise self._failed(f"did not take an input of {len(data)} bytes")

    def _load(self, data: bytes) -> bool:
        lines = self.command(f"db load {len(data)}")
        if not any(line.startswith("m-[Expecting") for line in lines):
            raise RefusedError(" ".join(lines)[:200])
        for place in range(0, len(data), LOAD_BYTES):
            lines = self.command(f"db {data[place : place + LOAD_BYTES].hex()}")
        return "m-load-done" in lines

    def infer(self, count: int, warmups: int, *, patience_s: float) -> Inference:
        """Run on the loaded input.

        Args:
            count: Timed inferences.
            warmups: Inferences before.
            patience_s: How long all of them may take, seconds.

        Raises:
            MeasurementError: It took longer, or told no times or results.
        """
        try:
            lines = self.command(f"infer {count} {warmups}", patience_s=patience_s)
        except RefusedError as error:
            raise self._failed(f"does not infer: {error}") from None
        except TimeoutError:
            raise self._failed(f"was not done with {count + warmups} inferences in {patience_s:.0f} s") from None
        laps = [int(found[1]) for line in lines if (found := re.fullmatch(r"m-lap-us-(\d+)", line))]
        results = [found[1] for line in lines if (found := re.fullmatch(r"m-results-\[(.*)\]", line))]
        if len(laps) < 2 or not results:  # noqa: PLR2004 - before and after
            raise self._failed(f"told no times or no results of an inference: {' '.join(lines)[:200]}")
        try:
            values = tuple(float(word) for word in results[-1].split(",") if word.strip())
        except ValueError:
            raise self._failed(f"gave results that are no numbers: {results[-1][:100]}") from None
        return Inference((laps[-1] - laps[0]) % _WRAP_US, values)

    def command(self, text: str, *, patience_s: float = _ANSWER_S) -> list[str]:
        """Give a command; the lines that answer it, without `m-ready`.

        Raises:
            RefusedError: The firmware answered with an error.
            TimeoutError: It did not say that it is ready again.
        """
        self._stream.write(text.encode() + b"%")
        lines = self._lines(patience_s + 10 * len(text) / self._stream.baud)
        wrong = next((line for line in lines if line.startswith("e-[")), "")
        if wrong:
            raise RefusedError(wrong)
        return lines

    def _lines(self, patience_s: float) -> list[str]:
        lines: list[str] = []
        deadline = time.monotonic() + patience_s
        while True:
            *ended, self._rest = (self._rest + self._stream.read(max(0.0, deadline - time.monotonic()))).split(b"\n")
            for place, line in enumerate(ended):
                text = printable(line)
                if text == _READY:
                    self._rest = b"\n".join([*ended[place + 1 :], self._rest])
                    return lines
                if text:
                    lines.append(text)
                    deadline = time.monotonic() + patience_s
            if time.monotonic() >= deadline:
                raise TimeoutError("no answer")

    def _again(self, text: str) -> list[str]:
        """A command that may be given again: the first may be spoilt by what was on the line before."""
        for _ in range(_TRIES):
            self._drain()
            try:
                lines = self.command(text)
            except (RefusedError, TimeoutError):
                continue
            if any(line.startswith(f"m-{text}-") for line in lines):
                return lines
        raise MeasurementError(
            f"Nothing that speaks MLPerf Tiny's protocol answers at {self._stream.name} ({self._stream.baud} baud).",
            hint="Is it such firmware, and the baud rate right? Boards start at 115200: serial:PORT?baud=115200",
            transient=True,
        )

    def _drain(self) -> None:
        """Let what was said before pass: a greeting ends with `m-ready` too, and would be taken for the answer."""
        deadline = time.monotonic() + _ANSWER_S
        while self._stream.read(_QUIET_S) and time.monotonic() < deadline:
            pass
        self._rest = b""

    def _failed(self, what: str) -> MeasurementError:
        return MeasurementError(
            f"The firmware at {self._stream.name} {what}.",
            hint="Does it hold this model? Reset the board, and try again.",
        )


def _within(word: str, lines: Sequence[str]) -> str:
    """What stands in brackets behind a word; empty where no line has it."""
    return next((line.rpartition("[")[2].rstrip("]") for line in lines if line.startswith(word)), "")
