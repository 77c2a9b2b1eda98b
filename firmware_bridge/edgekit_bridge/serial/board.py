"""A board that runs edgekit's firmware: what it is, what its model is, and the model's work.

Command numbers and layouts are docs/serial-protocol.md's; the firmware's side is `edgekit_protocol.c`.
"""

import secrets
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from edgekit.errors import MeasurementError
from edgekit_bridge.serial.exchange import Exchange, Request, Transfer, several
from edgekit_bridge.serial.stream import ByteStream, printable

PROTOCOL_VERSION: Final = 1
"""1: first."""

HELLO: Final = 1
INFO: Final = 2
WRITE: Final = 3
READ: Final = 4
INVOKE: Final = 5
LAYERS: Final = 6
BAUD: Final = 7
RESET: Final = 8
COUNTERS: Final = 9

_BOARD: Final = 0
_MODEL: Final = 1
_INPUT: Final = 2
_OUTPUT: Final = 3
_LAYER: Final = 4

_CAN_CORRECT: Final = 1
_KEEPS_INPUTS: Final = 4
_EMULATED: Final = 1

_FRAME_BYTES: Final = 1024
"""The longest frame that this side takes."""

_HELLO_TRIES: Final = 20
"""Four seconds: a board that starts again when its port is opened (ESP32, Arduino) has begun by then."""

_INVOKE_TRIES: Final = 25
_RATE_TRIES: Final = 8

_AGAIN_S: Final = 2.0
"""After how long the answer to an inference of unknown length is asked for again."""

_LAYERS_AT_ONCE: Final = 24


class BoardFacts(NamedTuple):
    """What the firmware says of the board that it runs on; see `edgekit_port` in `edgekit_hal.h`."""

    board: str
    cpu: str
    clock: str
    harness: str
    compiler: str
    emulated: bool
    ticks_hz: int
    spin_instructions: int
    spin_ticks: int
    image_flash_bytes: int
    image_ram_bytes: int
    stack_bytes: int


class ModelFacts(NamedTuple):
    """What the firmware says of its model."""

    name: str
    model_id: str
    artifact_id: str
    arena_bytes: int
    weight_bytes: int
    inputs: int
    outputs: int
    layers: int


class BoardTensor(NamedTuple):
    """An input or output as the firmware takes or gives it; a scale of 0 means that it is not quantized."""

    name: str
    dtype: str
    scale: float
    zero_point: int
    size: int
    shape: tuple[int, ...]


class BoardLayer(NamedTuple):
    """A layer: its name, operator, and multiply-accumulates."""

    name: str
    op: str
    macs: int


class _Fields:
    """Reads an answer's fields in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def signed(self) -> int:
        return int.from_bytes(self._take(4), "little", signed=True)

    def real(self) -> float:
        return float(struct.unpack("<f", self._take(4))[0])

    def text(self) -> str:
        return printable(self._take(self.number(1)))

    def _take(self, size: int) -> bytes:
        if len(self._data) < size:
            raise MeasurementError(
                "The firmware's answer is too short.", hint="Build it with this edgekit, and flash it again."
            )
        taken, self._data = self._data[:size], self._data[size:]
        return taken


class Board:
    """The firmware at the other end of a line.

    Args:
        stream: The line.

    Raises:
        MeasurementError: Nothing answers, or in another version of the protocol.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.exchange = Exchange(stream)
        self._hello()
        self.facts = self._board()
        self.model = self._model()
        asked = [(kind, place) for kind, count in self._counts() for place in range(count)]
        answers = several([_info(kind, place) for kind, place in asked], self.exchange)
        found = list(zip(asked, answers, strict=True))
        self.inputs = tuple(_tensor(answer) for (kind, _), answer in found if kind == _INPUT)
        self.outputs = tuple(_tensor(answer) for (kind, _), answer in found if kind == _OUTPUT)
        self.layers = tuple(_layer(answer) for (kind, _), answer in found if kind == _LAYER)

    def _hello(self) -> None:
        session = secrets.randbelow(2**32 - 1) + 1
        words = struct.pack("<BHI", PROTOCOL_VERSION, _FRAME_BYTES, session)
        fields = _Fields(self.exchange.call(Request(HELLO, words), tries=_HELLO_TRIES))
        version, features, frame, buffered = (fields.number(size) for size in (1, 1, 2, 4))
        self.most_laps = fields.number(2)
        if version != PROTOCOL_VERSION:
            raise MeasurementError(
                f"The firmware at {self._stream.name} speaks version {version} of the protocol; this edgekit speaks "
                f"{PROTOCOL_VERSION}.",
                hint="Build it with this edgekit, and flash it again.",
            )
        self.keeps_inputs = bool(features & _KEEPS_INPUTS)
        self.exchange.agree(frame, window_bytes=min(buffered, 3072), can_correct=bool(features & _CAN_CORRECT))

    def _board(self) -> BoardFacts:
        fields = _Fields(self.exchange.call(_info(_BOARD, 0)))
        board, cpu, clock, harness, compiler = (fields.text() for _ in range(5))
        flags, ticks_hz, spin_instructions, spin_ticks, flash, ram, stack = (fields.number(4) for _ in range(7))
        return BoardFacts(
            board=board,
            cpu=cpu,
            clock=clock,
            harness=harness,
            compiler=compiler,
            emulated=bool(flags & _EMULATED),
            ticks_hz=ticks_hz,
            spin_instructions=spin_instructions,
            spin_ticks=spin_ticks,
            image_flash_bytes=flash,
            image_ram_bytes=ram,
            stack_bytes=stack,
        )

    def _model(self) -> ModelFacts:
        fields = _Fields(self.exchange.call(_info(_MODEL, 0)))
        name, model_id, artifact_id = (fields.text() for _ in range(3))
        arena, weights = (fields.number(4) for _ in range(2))
        inputs, outputs, layers = (fields.number(2) for _ in range(3))
        return ModelFacts(name, model_id, artifact_id, arena, weights, inputs, outputs, layers)

    def _counts(self) -> Sequence[tuple[int, int]]:
        return ((_INPUT, self.model.inputs), (_OUTPUT, self.model.outputs), (_LAYER, self.model.layers))

    def write(self, index: int, data: bytes) -> None:
        """Give an input; it stays for every inference until it is written again."""
        self.exchange.run(Transfer(WRITE, index, data, reading=False))

    def read(self, index: int) -> bytes:
        """An output of the last inference."""
        transfer = Transfer(READ, index, bytes(self.outputs[index].size), reading=True)
        self.exchange.run(transfer)
        return bytes(transfer.data)

    def infer(
        self, count: int = 1, *, patience_s: float, expected_s: float = 0.0, by_layer: bool = False
    ) -> tuple[int, ...]:
        """Run the model; ticks of each inference.

        Args:
            count: How often, up to `most_laps`.
            patience_s: How long all of it may take, seconds.
            expected_s: How long it takes about; 0 when nobody knows. Nothing is sent meanwhile that would disturb it.
            by_layer: Add up each layer's ticks too; that costs time itself.
        """
        token = secrets.randbelow(2**32 - 1) + 1
        request = Request(INVOKE, struct.pack("<IHB", token, count, by_layer), 8 * count)
        again_s = 0.25 + 1.5 * expected_s if expected_s else _AGAIN_S
        tries = max(_INVOKE_TRIES, round(patience_s / again_s))
        fields = _Fields(self.exchange.call(request, again_s=again_s, tries=tries))
        fields.number(4)
        return tuple(fields.number(8) for _ in range(fields.number(2)))

    def layer_ticks(self) -> tuple[int, ...]:
        """Each layer's ticks, added up over the inferences of the last `infer` with `by_layer`."""
        count = len(self.layers)
        starts = range(0, count, _LAYERS_AT_ONCE)
        sizes = [min(_LAYERS_AT_ONCE, count - start) for start in starts]
        requests = [
            Request(LAYERS, struct.pack("<HH", start, size), 8 * size)
            for start, size in zip(starts, sizes, strict=True)
        ]
        answers = several(requests, self.exchange)
        return tuple(value for answer in answers for value in struct.unpack(f"<{len(answer) // 8}Q", answer))

    def counters(self) -> tuple[int, int, int]:
        """Frames that came whole there, that were put right, and that were lost."""
        fields = _Fields(self.exchange.call(Request(COUNTERS, b"")))
        return fields.number(4), fields.number(4), fields.number(4)

    def set_baud(self, baud: int) -> None:
        """Go on at another rate; the board waits two seconds to hear from us there, and else goes back.

        Raises:
            MeasurementError: Nothing answers there.
        """
        before = self._stream.baud
        self.exchange.call(Request(BAUD, struct.pack("<I", baud)))
        self._stream.set_baud(baud)
        try:
            self.exchange.call(_info(_BOARD, 0), tries=_RATE_TRIES)
        except MeasurementError:
            self._stream.set_baud(before)
            raise MeasurementError(
                f"The line {self._stream.name} does not carry {baud} baud; the board goes back to {before} by itself.",
                hint="Ask for a lower rate, or leave `speed` out.",
            ) from None

    def stack_bytes(self) -> int:
        """The deepest that the stack has been; 0 where the firmware does not know."""
        return self._board().stack_bytes


def _info(kind: int, place: int) -> Request:
    return Request(INFO, struct.pack("<BH", kind, place), 100)


def _tensor(answer: bytes) -> BoardTensor:
    fields = _Fields(answer)
    name, dtype, scale, zero_point, size = (
        fields.text(),
        fields.text(),
        fields.real(),
        fields.signed(),
        fields.number(4),
    )
    return BoardTensor(name, dtype, scale, zero_point, size, tuple(fields.number(4) for _ in range(fields.number(1))))


def _layer(answer: bytes) -> BoardLayer:
    fields = _Fields(answer)
    return BoardLayer(fields.text(), fields.text(), fields.number(4))
