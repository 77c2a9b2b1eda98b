"""The exchange with firmware over a line: every transfer right, whatever the line does, and nobody waits for ever."""

import os
import pty
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit.device import parse_device
from edgekit.errors import DeviceError, MeasurementError
from edgekit.serial_url import SerialUrl, serial_url
from edgekit_bridge.serial.board import Board
from edgekit_bridge.serial.exchange import Request
from edgekit_bridge.serial.port import open_port
from edgekit_bridge.serial.stream import ByteStream, PortStream
from peers.bad_line import BadLine
from peers.boards import StartBoard

pytestmark = pytest.mark.peer

WIDTH = 8000
DATA = bytes((place * 7 + place // 251) % 256 for place in range(WIDTH))


def negated(data: bytes) -> bytes:
    """What the wide model makes of stored bytes: 6 - x, saturated at 127."""
    signed = [value - 256 if value > 127 else value for value in data]
    return bytes(min(127, 6 - value) % 256 for value in signed)


def tcp_port(url: str) -> int:
    """The number at the end of a device URL."""
    return int(url.rpartition(":")[2])


@contextmanager
def board_at(port: str, baud: int = 115_200) -> Iterator[Board]:
    """The firmware behind a port."""
    with open_port(SerialUrl(port=port, baud=baud)) as opened:
        yield Board(PortStream(opened))


def test_the_board_says_what_it_is(posix_firmware: Path, start_board: StartBoard) -> None:
    """Its model, its tensors and its layers."""
    where = serial_url(parse_device(start_board(posix_firmware)))
    with board_at(where.port) as board:
        assert board.facts.board == "posix"
        assert (board.model.name, board.model.inputs, board.model.outputs) == ("negated", 1, 1)
        assert [layer.name for layer in board.layers] == ["negate", "wipe"]
        assert (board.inputs[0].dtype, board.inputs[0].scale, board.inputs[0].zero_point) == ("int8", 0.5, 3)
        assert board.inputs[0].shape == (1, 4)


def test_inputs_stay_though_the_model_spoils_them(posix_firmware: Path, start_board: StartBoard) -> None:
    """Many inferences follow each other on one input."""
    where = serial_url(parse_device(start_board(posix_firmware)))
    with board_at(where.port) as board:
        board.write(0, bytes([1, 2, 3, 250]))
        for count in (1, 3, board.most_laps):
            assert len(board.infer(count, patience_s=5)) == count
            assert board.read(0) == bytes([5, 4, 3, 12])
        total = sum(board.infer(4, patience_s=5, by_layer=True))
        assert 0 < sum(board.layer_ticks()) <= total


def test_a_line_that_somebody_had_before(posix_firmware: Path, start_board: StartBoard) -> None:
    """Half a frame, a terminal's words or noise from before do not keep the next one from starting."""
    where = serial_url(parse_device(start_board(posix_firmware)))
    for rubbish in (b"\x05\x03half a fra", b"AT\r\nls -l\r\n%", bytes(range(256)) * 3, b"name%name"):
        with open_port(where) as opened:
            stream = PortStream(opened)
            stream.write(rubbish)
            board = Board(stream)
            board.write(0, bytes(4))
            board.infer(patience_s=5)
            assert board.read(0) == bytes([6] * 4)


@pytest.mark.parametrize(
    ("wrong", "lost"),
    [(0.0, 0.0), (0.01, 0.0), (0.05, 0.0), (0.0, 0.01), (0.005, 0.005)],
    ids=["clean", "wrong", "very-wrong", "lost", "both"],
)
def test_a_bad_line(wide_firmware: Path, start_board: StartBoard, wrong: float, lost: float) -> None:
    """With a byte in a hundred wrong or lost, or one in twenty wrong, each way, every transfer is right."""
    number = tcp_port(start_board(wide_firmware))
    with BadLine(number, wrong=wrong, lost=lost, seed=7) as line, board_at(line.port, 921_600) as board:
        for turn in range(2):
            data = DATA[turn:] + DATA[:turn]
            board.write(0, data)
            board.infer(patience_s=5)
            assert board.read(0) == negated(data)
        assert bool(wrong + lost) == bool(board.exchange.lost)
        assert lost or bool(wrong) == bool(board.exchange.corrected)


def test_nothing_answers() -> None:
    """A line on which nobody is ends in seconds, with what to look at."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    began = time.monotonic()
    with pytest.raises(MeasurementError, match="Nothing answers") as caught, board_at(os.ttyname(theirs)):
        pass
    assert time.monotonic() - began < 8
    assert "baud" in caught.value.hint
    assert caught.value.transient
    os.close(ours)
    os.close(theirs)


def test_a_line_that_goes(posix_firmware: Path) -> None:
    """An unplugged board is told at once, not after a timeout."""
    from edgekit_bridge.firmware.emulator import running

    with running(posix_firmware) as (url, process), board_at(serial_url(parse_device(url)).port) as board:
        process.terminate()
        process.wait()
        began = time.monotonic()
        with pytest.raises(DeviceError, match="is gone"):
            board.write(0, bytes(4))
        assert time.monotonic() - began < 2


def test_a_board_that_was_started_again_meanwhile(posix_firmware: Path, start_board: StartBoard) -> None:
    """What was written is gone: nobody measures on zeros without knowing."""
    number = tcp_port(start_board(posix_firmware))
    with BadLine(number) as line, board_at(line.port) as board:
        board.exchange.run(_Forget())
        with pytest.raises(MeasurementError, match="was started again"):
            board.write(0, bytes(4))


class _NarrowLine:
    """A line that carries nothing at more than its rate; the board goes back after two seconds, as ours does."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.name = stream.name
        self.baud = stream.baud

    def read(self, timeout_s: float) -> bytes:
        """See `ByteStream`."""
        found = self._stream.read(timeout_s)
        return found if self.baud <= 115_200 else b""

    def write(self, data: bytes) -> None:
        """See `ByteStream`."""
        if self.baud <= 115_200:
            self._stream.write(data)

    def set_baud(self, baud: int) -> None:
        """See `ByteStream`."""
        self.baud = baud


def test_a_rate_that_the_line_does_not_carry(posix_firmware: Path, start_board: StartBoard) -> None:
    """Is told, and the rate from before still works."""
    where = serial_url(parse_device(start_board(posix_firmware)))
    with open_port(where) as opened:
        board = Board(_NarrowLine(PortStream(opened)))
        with pytest.raises(MeasurementError, match="does not carry 921600 baud"):
            board.set_baud(921_600)
        board.write(0, bytes(4))
        board.infer(patience_s=5)
        assert board.read(0) == bytes([6] * 4)


class _Forget:
    """A greeting without a session, which is how the firmware is after a reset."""

    def __init__(self) -> None:
        self._asked = False

    def take(self, room: int) -> Request | None:
        """See `Work`."""
        del room
        if self._asked:
            return None
        self._asked = True
        return Request(1, b"\1\0\4" + bytes(4))

    def lost(self, request: Request) -> None:
        """See `Work`."""
        self._asked = not request.command

    def answered(self, request: Request, answer: bytes) -> None:
        """See `Work`."""
