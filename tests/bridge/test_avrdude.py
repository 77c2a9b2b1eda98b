"""avrdude, into a real Arduino bootloader on a simulated chip."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.flash_job import Asked
from edgekit.flashing import flash
from peers.arduino import FLASH_BYTES, Arduino

pytestmark = pytest.mark.slow

ASKED = Asked(chip="atmega328p", baud=57_600)


@pytest.mark.peer
class TestArduino:
    def test_an_elf_file_is_in_its_flash(self, arduino: Arduino, blink: Callable[[str], Path], tmp_path: Path) -> None:
        """As the simulator has it; what was there before is kept; how to flash it is seen by the file."""
        asked = Asked(chip="", baud=57_600, backup=tmp_path / "before.bin")
        with pytest.raises(UsageError, match="has to be told the chip"):
            flash(blink("elf"), device=f"serial:{arduino.port}", asked=asked)
        asked = Asked(chip="atmega328p", baud=57_600, backup=tmp_path / "before.bin")
        flashed = flash(blink("elf"), device=f"serial:{arduino.port}", asked=asked)
        assert flashed.method == "avrdude"
        assert flashed.board == "atmega328p (signature 0x1e950f)"
        assert "read 146 bytes back" in flashed.verified
        assert arduino.flash()[:4] == bytes.fromhex("0c943400")
        assert set((tmp_path / "before.bin").read_bytes()[: FLASH_BYTES // 2]) <= {0xFF}

    def test_another_chip_is_named(self, arduino: Arduino, blink: Callable[[str], Path]) -> None:
        """And nothing is written."""
        with pytest.raises(DeviceError, match="signature 0x1e950f, and atmega168 was asked for") as caught:
            flash(blink("hex"), device=f"serial:{arduino.port}", asked=Asked(chip="atmega168", baud=57_600))
        assert "--chip m328p" in caught.value.hint
        assert set(arduino.flash()[:1024]) == {0xFF}

    def test_an_image_that_is_too_large(self, arduino: Arduino, tmp_path: Path) -> None:
        """Is refused before the board is touched: the bootloader would go on beyond its flash, for ever."""
        image = tmp_path / "large.bin"
        image.write_bytes(b"x" * (FLASH_BYTES + 1))
        with pytest.raises(UsageError, match="ends at 32,769, and atmega328p holds 32,768"):
            flash(image, device=f"serial:{arduino.port}", asked=ASKED)

    def test_a_board_that_does_not_answer(self, arduino: Arduino, blink: Callable[[str], Path]) -> None:
        """With what to press, and which rate to try."""
        arduino.freeze()
        asked = Asked(chip="atmega328p", baud=57_600, options={"attempts": "1"})
        with pytest.raises(DeviceError, match="No bootloader answers") as caught:
            flash(blink("hex"), device=f"serial:{arduino.port}", asked=asked)
        assert "press its reset" in caught.value.hint

    @pytest.mark.parametrize(
        ("asked", "cause"),
        [
            (Asked(chip="atmega3280p"), "knows no chip 'atmega3280p'"),
            (Asked(chip="atmega328p", options={"programmer": "arduno"}), "knows no programmer 'arduno'"),
        ],
    )
    def test_what_avrdude_does_not_know(
        self, asked: Asked, cause: str, arduino: Arduino, blink: Callable[[str], Path]
    ) -> None:
        """Is named."""
        with pytest.raises(DeviceError, match=cause):
            flash(blink("hex"), device=f"serial:{arduino.port}", asked=asked, method="avrdude")
