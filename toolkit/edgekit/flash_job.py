"""What is to be flashed, where and how; and what came of it."""

from pathlib import Path

import msgspec

from edgekit.firmware_image import FirmwareImage


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may say of the way an image is flashed; whatever is left out is found out.

    Attributes:
        address: Where plain bytes go; None for the method's own place.
        baud: Bits per second; 0 for the method's own.
        chip: The chip as its maker calls it (`stm32f407`, `esp32c3`, `atmega328p`); empty when nobody said.
        backup: Where what was there before is kept; None for nowhere.
        options: The method's own options, by name.
    """

    address: int | None = None
    baud: int = 0
    chip: str = ""
    backup: Path | None = None
    options: dict[str, str] = {}


class FlashJob(msgspec.Struct, frozen=True, kw_only=True):
    """One image for one board.

    Attributes:
        image: What.
        port: Where: a device file or pyserial's URL; a folder for a drive; a probe's id; empty where the method looks.
        asked: How.
        flash_bytes: How much the board holds; 0 for unknown.
    """

    image: FirmwareImage
    port: str
    asked: Asked
    flash_bytes: int = 0

    @property
    def baud(self) -> int:
        """What was asked for, else what boards speak by default."""
        return self.asked.baud or 115_200

    def option(self, name: str, default: str = "") -> str:
        """An option of the method's own."""
        return self.asked.options.get(name, default)


class Flashed(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is on a board.

    Attributes:
        method: Who put it there.
        image: The file.
        sha256: Of the file.
        bytes: How much was written.
        address: Where it begins; None where the method does not say.
        verified: What proved that it is there, by whom.
        board: What answered.
        backup: Where what was there before is kept; None for nowhere.
        notes: What else a user should know.
    """

    method: str
    image: str
    sha256: str
    bytes: int
    verified: str
    address: int | None = None
    board: str = ""
    backup: Path | None = None
    notes: tuple[str, ...] = ()
