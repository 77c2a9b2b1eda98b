"""UF2: boards that show a drive, and flash the file that is copied there (github.com/microsoft/uf2).

Such a drive has a file INFO_UF2.TXT that names the board. Most boards restart as soon as they have the file, so that
the drive goes: that is how they say that they took it.
"""

import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Flasher, Progress, Requirement
from edgekit.publish import whole_file

INFO: Final = "INFO_UF2.TXT"
CURRENT: Final = "CURRENT.UF2"

FAMILIES: Final = {
    "RPI-RP2": {0xE48BFF56},
    "RP2350": {0xE48BFF57, 0xE48BFF58, 0xE48BFF59, 0xE48BFF5A, 0xE48BFF5B},
    "SAMD21": {0x68ED2B88},
    "SAMD51": {0x55114460},
    "NRF52840": {0xADA52840},
    "ESP32S2": {0xBFDD4EEE},
    "ESP32S3": {0xC47E5767},
}
"""Family ids by what boards call themselves (microsoft/uf2, utils/uf2families.json; RP2350 datasheet, 5.5.3)."""

_MOUNTS: Final = Path("/proc/mounts")
_LEAVES_S: Final = 10.0
_BOOT_HINT: Final = (
    "Hold BOOTSEL while plugging it in (RP2040, RP2350), or press reset twice (SAMD, nRF52); then mount the drive that "
    "appears, and name its folder: --device /media/you/RPI-RP2"
)


class _Uf2:
    name = "uf2"
    title = "boards that show a drive to copy a UF2 file to"
    images: Sequence[ImageFormat] = ("uf2",)
    options: Mapping[str, str] = {"wait": "seconds for the board to take the file and restart; default: 10"}
    evidence = "untested on hardware"
    keeps_previous = True
    needs_port = False
    requires: Sequence[Requirement] = ()

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """A wait that is no number."""
        wait = job.option("wait", "0")
        return [] if wait.isdecimal() else [Objection(cause=f"wait={wait!r} is no number of seconds.")]

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Copy it, and see that the board takes it."""
        drive = Path(job.port) if job.port else _only_drive()
        board = _board(drive)
        _check_family(job, board)
        if job.asked.backup:
            _keep(drive, job.asked.backup)
        there = drive / job.image.path.name
        with progress.step(f"copy {there.name} to {drive}"):
            try:
                with there.open("wb") as file:
                    file.write(job.image.path.read_bytes())
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                if (drive / INFO).exists():
                    raise DeviceError(
                        f"Cannot copy to {drive}: {error.strerror or error}.", hint="Is it mounted writable?"
                    ) from error
        with progress.step("wait for the board to restart"):
            verified = _taken(drive, there, job, float(job.option("wait") or _LEAVES_S))
        return Flashed(
            method=self.name,
            image=str(job.image.path),
            sha256=job.image.sha256,
            bytes=job.image.size,
            address=job.image.address,
            verified=verified,
            board=board,
            backup=job.asked.backup,
        )


def _only_drive() -> Path:
    """The one drive of a UF2 board that is mounted.

    Raises:
        DeviceError: There is none, or several.
    """
    places = [line.split()[1].encode().decode("unicode_escape") for line in _MOUNTS.read_text().splitlines()]
    found = [Path(place) for place in places if (Path(place) / INFO).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"Several boards show a drive: {', '.join(map(str, found))}.", hint="Name one: --device FOLDER"
        )
    raise DeviceError("No board shows a drive for UF2 files.", hint=_BOOT_HINT)


def _board(drive: Path) -> str:
    """What the board calls itself.

    Raises:
        DeviceError: The folder is no such drive.
    """
    try:
        words = (drive / INFO).read_text(errors="replace")
    except OSError:
        raise DeviceError(f"{drive} is no drive of a UF2 board: it has no {INFO}.", hint=_BOOT_HINT) from None
    model, id_ = (re.search(rf"^{key}: *(.+?)\s*$", words, re.MULTILINE) for key in ("Model", "Board-ID"))
    return " ".join(found[1] for found in (model, id_) if found) or "a UF2 board"


def _check_family(job: FlashJob, board: str) -> None:
    """The board would take a file of another family and do nothing with it, without a word."""
    known = next((ids for name, ids in FAMILIES.items() if name in board.upper().replace("-S", "S")), None)
    if known and job.image.family is not None and job.image.family not in known:
        names = [name for name, ids in FAMILIES.items() if job.image.family in ids] or [f"family {job.image.family:#x}"]
        raise DeviceError(
            f"{job.image.path.name} is for {names[0]}, and this is {board}.",
            hint="Build it for this board.",
        )


def _keep(drive: Path, file: Path) -> None:
    if not (drive / CURRENT).is_file():
        raise DeviceError(
            f"This board does not show what is on it (no {CURRENT}).", hint="Leave --backup out; RP2040s never do."
        )
    with whole_file(file) as beside:
        shutil.copyfile(drive / CURRENT, beside)


def _taken(drive: Path, there: Path, job: FlashJob, wait_s: float) -> str:
    """How the board shows that it has it.

    Raises:
        DeviceError: It does not.
    """
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if not (drive / INFO).exists():
            return "the board took the file and restarted"
        time.sleep(0.1)
    current = drive / CURRENT
    if current.is_file() and job.image.flat() in _payload(current):
        return f"the board shows it in {CURRENT}"
    raise DeviceError(
        f"The board did not take {there.name}: after {wait_s:g} s its drive is still there.",
        hint="Is the file for this board and its flash? Unplug it, and try again.",
    )


def _payload(file: Path) -> bytes:
    from edgekit.firmware_image import read_image

    return read_image(file).flat()


FLASHER: Flasher = _Uf2()
