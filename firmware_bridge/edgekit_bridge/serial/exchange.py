"""Requests and answers over a line that may lose and change bytes: a window of them in flight, the lost ones again.

The device answers in the order in which requests come. An answer therefore means that whatever was asked before it and
is still unanswered was lost, there or back, and it is asked again at once; only the last ones wait for a time to pass.
Every request may be repeated without harm (docs/serial-protocol.md).
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from edgekit.errors import MeasurementError
from edgekit_bridge.serial.framing import CRC_BYTES, MOST_PROTECTED, FrameReader, make_frame
from edgekit_bridge.serial.stream import ByteStream

HEADER_BYTES: Final = 2
"""Command and sequence number."""

ANSWER: Final = 0x80
"""The bit that makes a command its answer."""

FIRST_FRAME: Final = 64
"""The longest frame before both sides have said what they take."""

_WINDOW: Final = 48
"""Requests in flight at most; sequence numbers go to 255."""

_LATENCY_S: Final = 0.15
"""What a USB adapter, two systems and the device may add to the time that the bytes take."""

_TRIES: Final = 25
"""How often a request is sent before nobody is there."""

_STATUS: Final = {1: "knows no such command", 2: "refused the arguments", 3: "was started again meanwhile"}
_RUNNING: Final = 4


class Request(NamedTuple):
    """A request: the command, its arguments, and how long its answer's body will be about."""

    command: int
    arguments: bytes
    answer_bytes: int = 16


class Work(Protocol):
    """Something that takes requests, cut to what a frame holds just then."""

    def take(self, room: int) -> Request | None:
        """The next request; neither its arguments nor its answer are longer than `room`. None: nothing for now."""

    def lost(self, request: Request) -> None:
        """It has to be asked again, perhaps in smaller pieces."""

    def answered(self, request: Request, answer: bytes) -> None:
        """What the device said, without its status."""


class Calls:
    """Requests that are never cut.

    Attributes:
        answers: By place, once they came.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._waiting = deque(range(len(requests)))
        self._taken: dict[int, int] = {}
        self.answers: list[bytes] = [b""] * len(requests)

    def take(self, room: int) -> Request | None:
        """See `Work`."""
        del room
        if not self._waiting:
            return None
        place = self._waiting.popleft()
        request = self._requests[place]._replace()
        self._taken[id(request)] = place
        return request

    def lost(self, request: Request) -> None:
        """See `Work`."""
        self._waiting.appendleft(self._taken.pop(id(request)))

    def answered(self, request: Request, answer: bytes) -> None:
        """See `Work`."""
        self.answers[self._taken.pop(id(request))] = answer


class _Sent:
    """A request in flight."""

    def __init__(self, request: Request, wire_bytes: int, moment: float) -> None:
        self.request = request
        self.wire_bytes = wire_bytes
        self.moment = moment
        self.running = False


class Quality:
    """How bad the line is: decides how long frames are, and whether they carry parity.

    Frames with parity stand about eight wrong bytes in 255, at a cost of a tenth. Bytes that vanish no parity brings
    back: then frames get shorter.
    """

    def __init__(self, most_bytes: int, *, can_correct: bool) -> None:
        self._most_bytes = most_bytes
        self.protected = False
        self.frame_bytes = most_bytes
        self._recent: deque[bool] = deque(maxlen=16)
        self._clean = 0
        self._parity_helps = can_correct

    def arrived(self, errors: int) -> None:
        """A frame came, of which so many bytes had to be put right."""
        self._recent.append(True)
        self._clean = self._clean + 1 if not errors else 0
        if self._clean > 200:  # noqa: PLR2004 - at 1 % of bytes wrong this many frames without one do not happen
            self._clean = 0
            self._better()

    def missed(self) -> None:
        """A frame was lost, there or back."""
        self._recent.append(False)
        self._clean = 0
        losses = self._recent.count(False)
        if losses < 3:  # noqa: PLR2004 - two may be a coincidence
            return
        if self._parity_helps and not self.protected:
            self.protected, self.frame_bytes = True, min(self._most_bytes, MOST_PROTECTED)
            self._recent.clear()
        elif losses > len(self._recent) * 0.3:
            self._worse()

    def _worse(self) -> None:
        self._recent.clear()
        if self.frame_bytes > 48:  # noqa: PLR2004 - shorter ones are nearly all header
            self.frame_bytes = max(48, self.frame_bytes // 2)
            if self.frame_bytes < 64:  # noqa: PLR2004 - the parity is as long as the content then
                self.protected = self._parity_helps = False

    def _better(self) -> None:
        if self.frame_bytes < (MOST_PROTECTED if self.protected else self._most_bytes):
            self.frame_bytes = min(self._most_bytes, 2 * self.frame_bytes)
            if self.protected:
                self.frame_bytes = min(self.frame_bytes, MOST_PROTECTED)
        elif self.protected:
            self.protected, self.frame_bytes = False, self._most_bytes


class Exchange:
    """Both ends of a line, once they have met.

    Args:
        stream: The line.

    Attributes:
        lost: How many requests had to be repeated.
        corrected: How many bytes were put right in what came.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._reader = FrameReader()
        self._sequence = 0
        self._sent: dict[int, _Sent] = {}
        self._window_bytes = 256
        self._idle = True
        self._failures = 0
        self._quality = Quality(FIRST_FRAME, can_correct=True)
        self.lost = 0
        self.corrected = 0

    def agree(self, most_bytes: int, *, window_bytes: int, can_correct: bool) -> None:
        """From now on frames may be so long, and so much may be in flight."""
        self._quality = Quality(most_bytes, can_correct=can_correct)
        self._window_bytes = max(256, window_bytes)

    @property
    def protected(self) -> bool:
        """Whether frames carry parity just now."""
        return self._quality.protected

    def call(self, request: Request, *, again_s: float = 0.0, tries: int = _TRIES) -> bytes:
        """Ask one thing; see `run`."""
        calls = Calls([request])
        self.run(calls, again_s=again_s, tries=tries)
        return calls.answers[0]

    def run(self, work: Work, *, again_s: float = 0.0, tries: int = _TRIES) -> None:
        """Do work to its end.

        Args:
            work: What to ask.
            again_s: After how long a request that the device works on is asked again, seconds: its answer may be lost.
            tries: How often in a row nothing may come before nobody is there.

        Raises:
            DeviceError: The line is gone.
            MeasurementError: Nothing answers, or the device refused something.
        """
        self._failures = 0
        try:
            while self._fill(work) or self._sent:
                self._receive(work, again_s, tries)
        finally:
            self._sent.clear()
            self._idle = True

    def _fill(self, work: Work) -> bool:
        """Send as much as may be in flight; whether anything was sent."""
        pieces = []
        while len(self._sent) < _WINDOW and (not self._sent or self._in_flight() < self._window_bytes):
            room = self._quality.frame_bytes - HEADER_BYTES - CRC_BYTES
            request = work.take(room)
            if request is None:
                break
            body = bytes([request.command, self._sequence]) + request.arguments
            wire = make_frame(body, protected=self._quality.protected and len(body) + CRC_BYTES <= MOST_PROTECTED)
            self._sent[self._sequence] = _Sent(request, len(wire), time.monotonic())
            self._sequence = (self._sequence + 1) % 256
            pieces.append(wire)
        if pieces:
            # A zero first where the line was still: whatever noise came before is no part of the frame.
            self._stream.write((b"\0" if self._idle else b"") + b"".join(pieces))
            self._idle = False
        return bool(pieces)

    def _in_flight(self) -> int:
        longest = self._quality.frame_bytes
        return sum(item.wire_bytes for item in self._sent.values()) + longest

    def _wait_s(self) -> float:
        """How long the answers to all that is in flight may take, bytes alone."""
        count = sum(item.wire_bytes + item.request.answer_bytes + 24 for item in self._sent.values())
        return _LATENCY_S + 10 * count / self._stream.baud

    def _receive(self, work: Work, again_s: float, tries: int) -> None:
        running = any(item.running for item in self._sent.values())
        wait_s = self._wait_s() + (again_s if running else 0.0)
        oldest = min(item.moment for item in self._sent.values())
        data = self._stream.read(max(0.001, oldest + wait_s - time.monotonic()))
        for frame in self._reader.feed(data):
            self.corrected += frame.errors
            self._take(work, frame.body, frame.errors)
        if self._sent and time.monotonic() > min(item.moment for item in self._sent.values()) + wait_s:
            self._reader.forget()
            self._give_up(work, list(self._sent))
            self._idle = True
            self._failures += 1
            if self._failures >= tries:
                raise self._nobody()

    def _take(self, work: Work, body: bytes, errors: int) -> None:
        if len(body) < HEADER_BYTES + 1 or body[1] not in self._sent:
            return
        sent = self._sent[body[1]]
        if body[0] != sent.request.command | ANSWER:
            return
        self._quality.arrived(errors)
        self._failures = 0
        now = time.monotonic()
        if body[2] == _RUNNING:
            sent.running, sent.moment = True, now
            return
        order = list(self._sent)
        self._give_up(work, order[: order.index(body[1])])
        del self._sent[body[1]]
        for item in self._sent.values():
            item.moment = now
        if body[2]:
            raise MeasurementError(
                f"The firmware at {self._stream.name} {_STATUS.get(body[2], f'failed ({body[2]})')} "
                f"(command {sent.request.command}).",
                hint="Is it of the same edgekit? Build and flash it again, and try once more.",
                transient=body[2] == 3,  # noqa: PLR2004 - NO_SESSION of docs/serial-protocol.md
            )
        work.answered(sent.request, body[3:])

    def _give_up(self, work: Work, sequences: Sequence[int]) -> None:
        for sequence in reversed(sequences):
            self.lost += 1
            self._quality.missed()
            work.lost(self._sent.pop(sequence).request)

    def _nobody(self) -> MeasurementError:
        return MeasurementError(
            f"Nothing answers at {self._stream.name} ({self._stream.baud} baud) any more.",
            hint="Is the board powered, its firmware edgekit's (`edgekit firmware build`), and the baud rate right?",
            transient=True,
        )


class Transfer:
    """Many bytes to or from a tensor, cut to what frames hold.

    Args:
        command: The request's command.
        index: Which tensor.
        data: What to write; for reading, zeros of the length.
        reading: Whether `data` is to be filled.
    """

    _OVERHEAD: Final = 5
    """Index and offset before what is written."""

    def __init__(self, command: int, index: int, data: bytes, *, reading: bool) -> None:
        self._command = command
        self._index = index
        self.data = bytearray(data)
        self._reading = reading
        self._ranges: deque[tuple[int, int]] = deque([(0, len(data))] if data else [])

    def take(self, room: int) -> Request | None:
        """See `Work`."""
        if not self._ranges:
            return None
        start, end = self._ranges.popleft()
        size = max(1, room - (1 if self._reading else self._OVERHEAD))
        if start + size < end:
            self._ranges.appendleft((start + size, end))
            end = start + size
        place = bytes([self._index]) + start.to_bytes(4, "little")
        if self._reading:
            return Request(self._command, place + (end - start).to_bytes(2, "little"), end - start)
        return Request(self._command, place + self.data[start:end])

    def lost(self, request: Request) -> None:
        """See `Work`."""
        start = int.from_bytes(request.arguments[1:5], "little")
        self._ranges.appendleft((start, start + self._length(request)))

    def answered(self, request: Request, answer: bytes) -> None:
        """See `Work`."""
        if self._reading:
            start = int.from_bytes(request.arguments[1:5], "little")
            self.data[start : start + self._length(request)] = answer[: self._length(request)]

    def _length(self, request: Request) -> int:
        if self._reading:
            return int.from_bytes(request.arguments[5:7], "little")
        return len(request.arguments) - self._OVERHEAD


def several(requests: Sequence[Request], exchange: Exchange) -> Iterator[bytes]:
    """The answers to many requests, in flight together."""
    calls = Calls(requests)
    exchange.run(calls)
    return iter(calls.answers)
