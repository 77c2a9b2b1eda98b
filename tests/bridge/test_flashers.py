"""What flashers do with the answers of boards; against stand-ins of ours where no real peer exists."""

import hashlib
import os
import pty
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.flash_job import Asked
from edgekit.flashing import flash
from peers.smp_stand_in import SmpBoard
from peers.stm32_stand_in import FLASH, Stm32

pytestmark = pytest.mark.slow

UF2_RP2040 = 0xE48BFF56


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """No whole number of blocks."""
    path = tmp_path / "firmware.bin"
    path.write_bytes(bytes(range(256)) * 12 + b"\x01\x02\x03\x04")
    return path


class TestStm32:
    def test_written_read_back_and_started(self, stm32: Stm32, image: Path, tmp_path: Path) -> None:
        """The chip tells how to flash it; what was there is kept to the end of its flash."""
        asked = Asked(chip="stm32f407", backup=tmp_path / "before.bin")
        flashed = flash(image, device=f"serial:{stm32.port}", asked=asked)
        content = image.read_bytes()
        assert stm32.flash[: len(content)] == content
        assert set(stm32.flash[len(content) :]) == {0xFF}
        assert (tmp_path / "before.bin").read_bytes() == b"\x5a" * 16384
        assert flashed.board.startswith("STM32F405xx/07xx")
        assert (flashed.method, flashed.address, stm32.started) == ("stm32", FLASH, FLASH)

    def test_another_chip(self, stm32: Stm32, image: Path) -> None:
        """Is named, and nothing is written."""
        with pytest.raises(DeviceError, match=r"STM32F405.*0x413\), and stm32l476 was asked for"):
            flash(image, device=f"serial:{stm32.port}", asked=Asked(chip="stm32l476"))
        assert set(stm32.flash) == {0x5A}

    def test_a_protected_chip(self, stm32: Stm32, image: Path, tmp_path: Path) -> None:
        """Refuses to be read, and to be written."""
        stm32.protected = True
        device = f"serial:{stm32.port}"
        with pytest.raises(DeviceError, match="does not let its flash be read"):
            flash(image, device=device, asked=Asked(chip="stm32f407", backup=tmp_path / "before.bin"))
        assert not (tmp_path / "before.bin").exists()
        with pytest.raises(DeviceError, match="refused: NACK") as caught:
            flash(image, device=device, asked=Asked(chip="stm32f407"))
        assert "protected" in caught.value.hint

    def test_flash_that_does_not_keep_it(self, stm32: Stm32, image: Path) -> None:
        """Is found when it is read back."""
        stm32.wears_out = True
        with pytest.raises(DeviceError, match="does not hold what was written at 0x8000000"):
            flash(image, device=f"serial:{stm32.port}", asked=Asked(chip="stm32f407"))

    def test_a_chip_that_runs_its_program(self, image: Path, silent_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is not in its boot loader: how to get it there."""
        monkeypatch.setattr("edgekit_bridge.flashers.stm32._ANSWER_S", 0.1)
        with pytest.raises(DeviceError, match="No STM32 boot loader answers") as caught:
            flash(image, device=f"serial:{silent_port}", asked=Asked(chip="stm32f407"))
        assert "BOOT0" in caught.value.hint

    def test_an_image_that_is_larger_than_the_flash(self, tmp_path: Path) -> None:
        """Of the board's profile, which names the chip too; before a port is opened."""
        image = tmp_path / "firmware.bin"
        image.write_bytes(bytes(1_048_577))
        with pytest.raises(UsageError, match="1,048,577 bytes, and the board holds 1,048,576"):
            flash(image, device="/dev/ttyNONE", target="stm32f746")

    def test_an_address_that_is_no_flash(self, image: Path) -> None:
        """Before a port is opened."""
        with pytest.raises(UsageError, match="0x20000000 is not in an STM32's flash"):
            flash(image, device="/dev/ttyNONE", asked=Asked(chip="stm32f407", address=0x20000000))


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A line at which nobody is."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def espressif(chip: int) -> bytes:
    """The header of an application for a chip, and some of it."""
    return struct.pack("<BBBBIBBBBHBHHB", 0xE9, 1, 2, 0x20, 0x40380000, 0, 0, 0, 0, chip, 0, 0, 99, 0) + bytes(100)


class TestEsptool:
    def test_a_chip_that_does_not_answer(self, silent_port: str, tmp_path: Path) -> None:
        """Which button brings it into its loader; the image tells how to flash it."""
        image = tmp_path / "firmware.bin"
        image.write_bytes(espressif(5))
        with pytest.raises(DeviceError, match="No Espressif chip answers") as caught:
            flash(image, device=f"serial:{silent_port}")
        assert "Hold BOOT" in caught.value.hint

    @pytest.mark.parametrize(
        ("content", "asked", "cause"),
        [
            (b"bytes", Asked(chip="esp32"), "does not say where it goes"),
            (b"bytes", Asked(chip="esp32", address=0x10), "no beginning of a sector"),
            (espressif(5), Asked(chip="esp32s3"), "is for esp32c3, and esp32s3 was asked for"),
        ],
    )
    def test_refused_before(self, content: bytes, asked: Asked, cause: str, tmp_path: Path) -> None:
        """A port is opened."""
        image = tmp_path / "firmware.bin"
        image.write_bytes(content)
        with pytest.raises(UsageError, match=cause):
            flash(image, device="/dev/ttyNONE", asked=asked)


class TestPyocd:
    def test_no_probe(self, image: Path) -> None:
        """What to plug in, and what may be missing."""
        with pytest.raises(DeviceError, match="There is no debug probe") as caught:
            flash(image, asked=Asked(chip="nrf52840", address=0, options={"probe": "none of this id"}))
        assert "udev" in caught.value.hint

    @pytest.mark.parametrize(
        ("asked", "cause"),
        [(Asked(), "has to be told the chip"), (Asked(chip="nrf52840"), "does not say where it goes")],
    )
    def test_refused_before(self, asked: Asked, cause: str, image: Path) -> None:
        """A probe is looked for."""
        with pytest.raises(UsageError, match=cause):
            flash(image, method="pyocd", asked=asked)


class TestSmp:
    def test_uploaded_listed_marked_and_started(self, smp_board: SmpBoard, tmp_path: Path) -> None:
        """For a test: the firmware before comes back when the new one does not confirm itself."""
        image = tmp_path / "zephyr.signed.bin"
        image.write_bytes(mcuboot(os.urandom(3000)))
        flashed = flash(image, device=f"serial:{smp_board.port}", method="smp")
        assert smp_board.received == image.read_bytes()
        assert smp_board.marked == image.read_bytes()[-32:]
        assert smp_board.restarted
        assert smp_board.marked.hex()[:16] in flashed.verified

    def test_a_board_that_does_not_have_it(self, smp_board: SmpBoard, tmp_path: Path) -> None:
        """After all."""
        smp_board.forgets = True
        image = tmp_path / "zephyr.signed.bin"
        image.write_bytes(mcuboot(b"program"))
        with pytest.raises(DeviceError, match="does not list the image"):
            flash(image, device=f"serial:{smp_board.port}", method="smp")
        assert not smp_board.restarted

    def test_a_board_that_does_not_answer(
        self, silent_port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What its firmware needs."""
        monkeypatch.setattr("edgekit_bridge.flashers.smp._ANSWER_S", 0.2)
        image = tmp_path / "zephyr.signed.bin"
        image.write_bytes(mcuboot(b"program"))
        with pytest.raises(DeviceError, match="Nothing speaks SMP") as caught:
            flash(image, device=f"serial:{silent_port}", method="smp")
        assert "CONFIG_MCUMGR" in caught.value.hint

    def test_no_mcuboot_image(self, image: Path) -> None:
        """What to give in its place."""
        with pytest.raises(UsageError, match="is no MCUboot image"):
            flash(image, device="/dev/ttyNONE", method="smp")


def mcuboot(program: bytes) -> bytes:
    """A signed image without a signature: header, program, hash (MCUboot, bootutil/image.h)."""
    head = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, 0, len(program), 0, 1, 0, 0, 0, 0)
    digest = hashlib.sha256(head + program).digest()
    return head + program + struct.pack("<HHHH", 0x6907, 4 + 4 + 32, 0x10, 32) + digest


def uf2(family: int) -> bytes:
    """A file of one block."""
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000, 256, 0, 1, family)
    return head + bytes(476) + struct.pack("<I", 0x0AB16F30)


class TestUf2:
    @pytest.fixture
    def drive(self, tmp_path: Path) -> Path:
        """What an RP2040 in its boot loader shows."""
        folder = tmp_path / "RPI-RP2"
        folder.mkdir()
        (folder / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n")
        return folder

    def test_a_board_that_takes_it_and_goes(self, drive: Path, tmp_path: Path) -> None:
        """Its drive goes with it."""
        image = tmp_path / "firmware.uf2"
        image.write_bytes(uf2(UF2_RP2040))

        def board() -> None:
            while not (drive / "firmware.uf2").exists():
                time.sleep(0.01)
            time.sleep(0.1)
            (drive / "INFO_UF2.TXT").unlink()

        thread = threading.Thread(target=board)
        thread.start()
        flashed = flash(image, device=str(drive))
        thread.join()
        assert (flashed.method, flashed.verified) == ("uf2", "the board took the file and restarted")
        assert flashed.board == "Raspberry Pi RP2 RPI-RP2"

    def test_a_board_that_does_not(self, drive: Path, tmp_path: Path) -> None:
        """Has not taken it."""
        image = tmp_path / "firmware.uf2"
        image.write_bytes(uf2(UF2_RP2040))
        with pytest.raises(DeviceError, match=r"did not take firmware\.uf2: after 1 s"):
            flash(image, device=str(drive), asked=Asked(options={"wait": "1"}))

    def test_a_file_for_another_chip(self, drive: Path, tmp_path: Path) -> None:
        """The board would ignore it without a word."""
        image = tmp_path / "firmware.uf2"
        image.write_bytes(uf2(0x55114460))
        with pytest.raises(DeviceError, match="is for SAMD51, and this is Raspberry Pi RP2"):
            flash(image, device=str(drive))
        assert not (drive / "firmware.uf2").exists()

    def test_no_drive(self, tmp_path: Path) -> None:
        """How boards are made to show one."""
        image = tmp_path / "firmware.uf2"
        image.write_bytes(uf2(UF2_RP2040))
        with pytest.raises(DeviceError, match=r"no INFO_UF2\.TXT") as caught:
            flash(image, device=str(tmp_path))
        assert "BOOTSEL" in caught.value.hint
        with pytest.raises(DeviceError, match="No board shows a drive"):
            flash(image)
