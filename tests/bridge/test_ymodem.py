"""YMODEM: into U-Boot, into lrzsz, and what happens on a line that is bad."""

import os
import pty
import re
import select
import shutil
import subprocess
import threading
import tty
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit.errors import DeviceError
from edgekit.flash_job import Asked
from edgekit.flashing import flash
from edgekit.progress import SilentProgress
from edgekit.protocols import Step
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.line import open_line
from edgekit_bridge.serial.ymodem import ACK, CAN, NAK, READY, Sender
from peers.uboot import UBootBoard
from peers.wire import MakeWire, Wire, unspoilt

pytestmark = pytest.mark.slow


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """No whole number of blocks, and with bytes that look like the protocol's own."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(range(256)) * 20 + b"\x1a\x18\x18\x04")
    return path


@pytest.mark.peer
class TestUBoot:
    def test_it_computes_the_same_crc(self, uboot_board: UBootBoard, image: Path) -> None:
        """Of what is in its memory, where its own variable says."""
        flashed = flash(image, device=uboot_board.url, method="ymodem", asked=Asked(options={"to": "u-boot"}))
        assert flashed.verified == f"CRC-32 {zlib.crc32(image.read_bytes()):08x}, computed by U-Boot"
        assert flashed.address == 0x40200000
        assert flashed.board.startswith("U-Boot 20")

    def test_a_file_on_its_disk(self, uboot_board: UBootBoard, image: Path) -> None:
        """Written, read back by U-Boot, and read here by somebody else."""
        options = {"to": "u-boot", "fatwrite": "virtio 0 model.bin"}
        asked = Asked(address=0x42000000, options=options)
        flashed = flash(image, device=uboot_board.url, method="ymodem", asked=asked)
        assert "same CRC-32" in flashed.notes[0]
        assert uboot_board.file("model.bin") == image.read_bytes()

    def test_what_it_refuses_is_told_in_its_words(self, uboot_board: UBootBoard, image: Path) -> None:
        """A disk that is not there."""
        asked = Asked(options={"to": "u-boot", "fatwrite": "virtio 7:1 model.bin"})
        with pytest.raises(DeviceError, match="could not do 'fatwrite virtio 7:1"):
            flash(image, device=uboot_board.url, method="ymodem", asked=asked)


@pytest.mark.peer
class TestLrzsz:
    @pytest.fixture
    def received(self, tmp_path: Path) -> Iterator[Callable[[Wire], Path]]:
        """Starts `rb` at the far end of a line; gives the folder that it receives into."""
        if not shutil.which("rb"):
            pytest.skip("rb is not installed (Debian: lrzsz)")
        started: list[subprocess.Popen[bytes]] = []

        def start(line: Wire) -> Path:
            folder = tmp_path / "received"
            folder.mkdir()
            end = os.open(line.far, os.O_RDWR | os.O_NOCTTY)
            argv = ["rb", "--ymodem", "--quiet"]
            started.append(subprocess.Popen(argv, cwd=folder, stdin=end, stdout=end, stderr=subprocess.DEVNULL))
            os.close(end)
            return folder

        yield start
        for process in started:
            process.kill()
            process.wait()

    def test_the_file_is_there_under_its_name(
        self, wire: MakeWire, received: Callable[[Wire], Path], image: Path
    ) -> None:
        """Of its own length, which is no whole number of blocks; that a receiver waits is seen."""
        line = wire(unspoilt)
        folder = received(line)
        flashed = flash(image, device=f"serial:{line.near}", method="ymodem")
        assert (folder / "model.bin").read_bytes() == image.read_bytes()
        assert flashed.board == "a YMODEM receiver"

    def test_a_line_that_changes_a_byte_now_and_then(
        self, wire: MakeWire, received: Callable[[Wire], Path], image: Path
    ) -> None:
        """The block goes again; the user is told."""
        seen = [0]

        def spoil(data: bytes) -> bytes:
            before, seen[0] = seen[0], seen[0] + len(data)
            return b"".join(
                bytes([byte ^ 0x55 if (before + place) % 3000 == 2999 else byte]) for place, byte in enumerate(data)
            )

        line = wire(spoil)
        folder = received(line)
        flashed = flash(image, device=f"serial:{line.near}", method="ymodem", asked=Asked(options={"to": "receiver"}))
        assert (folder / "model.bin").read_bytes() == image.read_bytes()
        assert re.fullmatch(r"\d+ blocks? had to be sent again: the line changes or loses bytes", flashed.notes[0])


class Interrupting(SilentProgress):
    """Ctrl-C when the first block is through."""

    def advance(self, amount: float = 1) -> None:
        """The step is this progress itself."""
        raise KeyboardInterrupt(amount)

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        """Every step."""
        del title, total
        yield self


class Scripted:
    """A receiver that answers what it was told to, at the other end of a pty."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        self.url = SerialUrl(port=os.ttyname(self._slave))

    def say(self, answers: bytes) -> None:
        """All at once, when the line is open: what waited before is thrown away."""
        os.write(self._master, answers)

    def heard(self) -> bytes:
        """What was sent to it, until it ends."""
        heard = b""
        while select.select([self._master], [], [], 0.2)[0]:
            heard += os.read(self._master, 1 << 16)
        return heard

    def close(self) -> None:
        """End it."""
        os.close(self._master)
        os.close(self._slave)


class TestReceiversThatDoNot:
    def test_ctrl_c_leaves_the_port_closed(self, tmp_path: Path) -> None:
        """And the receiver told that nothing more comes: the next one can begin at once."""
        image = tmp_path / "a.bin"
        image.write_bytes(bytes(5000))
        peer = Scripted()
        thread = threading.Timer(0.3, peer.say, [bytes([READY, ACK, READY, ACK, ACK])])
        thread.start()
        asked = Asked(options={"to": "receiver"})
        with pytest.raises(KeyboardInterrupt):
            flash(image, device=f"serial:{peer.url.port}", method="ymodem", asked=asked, progress=Interrupting())
        assert peer.heard().endswith(bytes([CAN]) * 8 + b"\b" * 8)
        with open_line(peer.url):
            pass
        peer.close()

    @pytest.mark.parametrize(
        ("answers", "cause"),
        [
            (b"", "asked for a file by YMODEM within"),
            (bytes([CAN, CAN]), "gave the transfer up before the file"),
            (bytes([READY, CAN, CAN]), "gave the transfer up at the header"),
            (bytes([READY, ACK, READY, CAN, CAN]), "gave the transfer up at block 1"),
            (bytes([READY, *[NAK] * 10]), "did not take the header in 10 attempts"),
            (bytes([READY, ACK, READY, ACK, ACK]), "asked for a file"),
        ],
    )
    def test_each_has_its_message(self, answers: bytes, cause: str) -> None:
        """And is told that the transfer is over."""
        peer = Scripted()
        try:
            with open_line(peer.url) as line:
                peer.say(answers)
                with pytest.raises(DeviceError, match=cause), SilentProgress().step("send") as step:
                    Sender(line, answer_s=0.2).send("a.bin", b"x" * 100, step, ready_s=0.3)
                assert peer.heard().endswith(bytes([CAN]) * 8 + b"\b" * 8)
        finally:
            peer.close()
