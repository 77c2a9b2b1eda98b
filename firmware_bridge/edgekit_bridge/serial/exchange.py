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


class Step(NamedTuple):
    """How frames are made: the longest body with CRC, and whether they carry parity."""

    frame_bytes: int
    protected: bool


class _Sent:
    """A request in flight, and the step at which it was sent."""

    def __init__(self, request: Request, step: Step, wire_bytes: int, moment: float) -> None:
        self.request = request
        self.step = step
        self.wire_bytes = wire_bytes
        self.moment = moment
        self.running = False


_JUDGED: Final = 12
"""How many frames a step is judged by at least."""

_BEARABLE: Final = 0.3
"""The share of frames that may be lost: shorter ones cost about as much."""

_PARITY_IN_VAIN: Final = 0.6
"""The share of the shortest frames with parity that may be lost: without it most of such a line is header."""

_CLEAN: Final = 200
"""After so many frames without anything wrong a better step is tried; at 1 % of wrong bytes that does not happen."""


class Quality:
    """How bad the line is: goes down to shorter frames, with and without parity, and up again.

    Parity stands about eight wrong bytes in a block, for a tenth of a long one. Bytes that vanish it does not bring
    back: then short frames are what is left.
    """

    def __init__(self, most_bytes: int, *, can_correct: bool) -> None:
        sizes = [size for size in (MOST_PROTECTED, 120, 64) if size < most_bytes] or [most_bytes]
        blocks = [Step(size, protected=True) for size in sizes] if can_correct else []
        short = [Step(size, protected=False) for size in (48, 24)]
        self._steps = (Step(most_bytes, protected=False), *blocks, *short)
        self._at = 0
        self._recent: deque[bool] = deque(maxlen=2 * _JUDGED)
        self._clean = 0

    @property
    def step(self) -> Step:
        """How frames are made now."""
        return self._steps[self._at]

    def arrived(self, step: Step, errors: int) -> None:
        """A frame of a step came, of which so many bytes had to be put right."""
        if step != self.step:
            return
        self._recent.append(True)
        self._clean = 0 if errors else self._clean + 1
        if self._clean >= _CLEAN and self._at:
            self._go(self._at - 1)

    def missed(self, step: Step) -> None:
        """A frame of a step was lost, there or back."""
        if step != self.step:
            return
        self._recent.append(False)
        self._clean = 0
        lost = self._recent.count(False)
        if self._at == 0:  # long frames without parity are left soon: the next step costs little
            worse = lost >= 3  # noqa: PLR2004 - two may be chance
        else:
            worse = len(self._recent) >= _JUDGED and lost > self._bearable() * len(self._recent)
        if worse and self._at + 1 < len(self._steps):
            self._go(self._at + 1)

    def _bearable(self) -> float:
        following = self._steps[min(self._at + 1, len(self._steps) - 1)]
        return _PARITY_IN_VAIN if self.step.protected and not following.protected else _BEARABLE

    def _go(self, at: int) -> None:
        self._at = at
        self._recent.clear()
        self._clean = 0


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
        return self._quality.step.protected

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
            step = self._quality.step
            request = work.take(step.frame_bytes - HEADER_BYTES - CRC_BYTES)
            if request is None:
                break
            body = bytes([request.command, self._sequence]) + request.arguments
            wire = make_frame(body, protected=step.protected and len(body) + CRC_BYTES <= MOST_PROTECTED)
            self._sent[self._sequence] = _Sent(request, step, len(wire), time.monotonic())
            self._sequence = (self._sequence + 1) % 256
            pieces.append(wire)
        if pieces:
            # A zero first where the line was still: whatever noise came before is no part of the frame.
            self._stream.write((b"\0" if self._idle else b"") + b"".join(pieces))
            self._idle = False
        return bool(pieces)

    def _in_flight(self) -> int:
        return sum(item.wire_bytes for item in self._sent.values()) + self._quality.step.frame_bytes

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
        self._quality.arrived(sent.step, errors)
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
            sent = self._sent.pop(sequence)
            self.lost += 1
            self._quality.missed(sent.step)
            work.lost(sent.request)

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
