"""`edgekit.flash`: an image into a board, checked before, verified after."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import UsageError
from edgekit.firmware_image import FirmwareImage, read_image
from edgekit.flash_job import Asked, Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.progress import SilentProgress
from edgekit.protocols import Flasher, Progress
from edgekit.reach import one_device
from edgekit.serial_url import serial_url
from edgekit.suggest import did_you_mean
from edgekit.target import TargetProfile

_CHIPS: Final = {
    "esp": "esptool",
    "stm32": "stm32",
    "rp2": "uf2",
    "atmega": "avrdude",
    "attiny": "avrdude",
    "nrf": "pyocd",
}
"""Who flashes chips whose names begin so, by the boot loader that is in their ROM or on their usual boards."""

_MACHINES: Final = {"avr": "avrdude", "xtensa": "esptool"}
_FORMATS: Final = {"uf2": "uf2", "esp": "esptool"}


class Choice(NamedTuple):
    """A way to flash, and why it was chosen."""

    flasher: Flasher
    reason: str


def choose(image: FirmwareImage, *, method: str, chip: str) -> Choice:
    """The way to flash: what was asked for, else what chip or image tell.

    Raises:
        UsageError: There is none of this name, or neither tells.
    """
    if method:
        return Choice(catalog.flasher(method), "asked for")
    if name := next((name for start, name in _CHIPS.items() if chip.lower().startswith(start)), ""):
        return Choice(catalog.flasher(name), f"the chip is {chip}")
    if name := _FORMATS.get(image.format, ""):
        return Choice(catalog.flasher(name), f"the image is {image.format}")
    if name := _MACHINES.get(image.machine, ""):
        return Choice(catalog.flasher(name), f"the image is for {image.machine}")
    names = " | ".join(item.name for item in catalog.flashers())
    raise UsageError(
        f"Neither {image.path.name} ({image.format}) nor a chip tells how to flash it.",
        hint=f"Say how: --method {names}; or name the chip: --chip stm32f407",
    )


def flash(
    image: Path | str,
    *,
    device: str = "",
    method: str = "",
    target: str = "",
    asked: Asked | None = None,
    progress: Progress | None = None,
) -> Flashed:
    """Write an image into a board and verify it there.

    Args:
        image: ELF, Intel HEX, UF2, an Espressif image or plain bytes; what it is is seen by its content.
        device: A URL such as `serial:///dev/ttyUSB0`, or a name of the inventory; empty where the method
            looks by itself.
        method: Who flashes (`edgekit flash --list-methods`); found out from chip and image when empty.
        target: The board's profile: its chip, and how much flash it has; what the inventory says when empty.
        asked: Address, baud, chip and the method's own options.
        progress: Told of each step.

    Raises:
        UsageError: The image is broken or does not fit the board, or the request is wrong.
        DeviceError: The board does not answer, is another one or in the wrong mode, or did not keep what was written.
    """
    job, chosen = prepare(image, device=device, method=method, target=target, asked=asked or Asked())
    return chosen.flasher.flash(job, progress or SilentProgress())


def prepare(image: Path | str, *, device: str, method: str, target: str, asked: Asked) -> tuple[FlashJob, Choice]:
    """Everything that can be checked before the board is touched; see `flash`.

    Raises:
        UsageError: As `flash`.
    """
    found = read_image(Path(image))
    place = _place(device)
    profile = catalog.targets().load(target or place.target) if target or place.target else None
    chip = asked.chip or (_chip(profile) if profile else "") or found.chip
    chosen = choose(found, method=method, chip=chip)
    flasher = chosen.flasher
    if missing := catalog.missing(flasher.requires):
        names = ", ".join(need.module for need in missing)
        raise UsageError(
            f"{flasher.name} needs {names}, which is not installed.",
            hint=f"Install it: pip install 'edgekit-toolkit[{missing[0].extra}]'",
        )
    asked = msgspec.structs.replace(asked, chip=chip, baud=asked.baud or place.baud)
    job = FlashJob(image=found, port=place.port, asked=asked, flash_bytes=profile.flash_bytes if profile else 0)
    for objection in (*_misfits(flasher, job), *flasher.objections(job)):
        raise UsageError(objection.cause, hint=objection.hint)
    return job, chosen


class _Place(NamedTuple):
    """Where a board is, and what the inventory or the URL say of it; 0 and empty for nothing."""

    port: str
    baud: int = 0
    target: str = ""


def _place(device: str) -> _Place:
    """The port that a URL or a name stands for; a folder is a drive.

    Raises:
        UsageError: It is no line.
    """
    if not device or device.startswith("/dev/") or Path(device).is_dir():
        return _Place(device)
    found = one_device(device)
    url = parse_device(found.url)
    if url.scheme not in catalog.LINES:
        raise UsageError(
            f"{device} is no serial line, and boards are flashed over one.", hint="Write serial:///dev/ttyUSB0"
        )
    line = serial_url(url)
    return _Place(line.port, line.baud if "baud" in url.options else 0, found.target)


def _chip(profile: TargetProfile) -> str:
    """The chip that a profile is named after; empty for a board's name."""
    name = profile.name.replace("-", "")
    return name if name.startswith(tuple(_CHIPS)) else ""


def _misfits(flasher: Flasher, job: FlashJob) -> Iterator[Objection]:
    """What is wrong whoever flashes."""
    image, asked = job.image, job.asked
    if image.format not in flasher.images:
        takes = ", ".join(flasher.images)
        yield Objection(
            cause=f"{flasher.name} takes {takes}, and {image.path.name} is {image.format}.",
            hint=_other_format(flasher.images),
        )
    for name in asked.options:
        if name not in flasher.options:
            yield Objection(
                cause=f"{flasher.name} has no option {name!r}.",
                hint=did_you_mean(name, flasher.options, "options") if flasher.options else "It has none.",
            )
    if flasher.needs_port and not job.port:
        yield Objection(
            cause=f"{flasher.name} needs to know where the board is.",
            hint="Say --device serial:///dev/ttyUSB0 (edgekit devices discover lists ports).",
        )
    if asked.address is not None and image.address is not None and asked.address != image.address:
        yield Objection(
            cause=f"{image.path.name} is linked for {image.address:#x}, and --address says {asked.address:#x}.",
            hint="Leave --address out; only plain bytes need one.",
        )
    if job.flash_bytes and image.size > job.flash_bytes:
        yield Objection(
            cause=f"{image.path.name} has {image.size:,} bytes, and the board holds {job.flash_bytes:,}.",
            hint="A smaller model, or int8 in place of fp32.",
        )
    if asked.backup and not flasher.keeps_previous:
        yield Objection(
            cause=f"{flasher.name} cannot read what is on the board.", hint="Leave --backup out, or use another method."
        )


def _other_format(takes: Sequence[str]) -> str:
    if "bin" in takes:
        return "Make plain bytes of it: arm-none-eabi-objcopy -O binary firmware.elf firmware.bin"
    return "Build it in that format, or use another --method."
