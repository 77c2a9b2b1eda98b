"""YMODEM, into U-Boot (`loady`) or into a bootloader that waits for a file.

U-Boot's commands: docs.u-boot.org (loady, crc32, fatwrite, fatload, go). That the bytes are there is told by U-Boot's
own CRC-32 of its memory; a bare receiver tells no more than that each block's CRC-16 was right.
"""

import re
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from edgekit.errors import DeviceError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Flasher, Progress, Requirement
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.line import Line, open_line
from edgekit_bridge.serial.uboot import UBoot
from edgekit_bridge.serial.ymodem import READY, Sender

READY_S: Final = 30.0
"""How long a receiver may take to ask for the file: somebody may have to press a key or a reset button."""

_LOOK_S: Final = 3.5
"""Receivers ask every 3 s at the slowest (XMODEM/YMODEM Protocol Reference, 7.3.2)."""

_COMMAND_S: Final = 60.0
_WRITE_S: Final = 300.0
_FILE: Final = re.compile(r"(\w+) (\w+(?::\w+)?) ([\w./-]+)")
_UBOOT: Final = "u-boot"
_RECEIVER: Final = "receiver"


class _Loaded(NamedTuple):
    """A file in U-Boot's memory."""

    address: int
    size: int
    crc: str


class _Ymodem:
    name = "ymodem"
    title = "U-Boot's prompt, or a bootloader that waits for YMODEM"
    images: Sequence[ImageFormat] = ("bin", "elf", "hex", "uf2", "esp")
    options: Mapping[str, str] = {
        "to": "u-boot or receiver; default: seen by what answers",
        "fatwrite": "U-Boot then writes a file and reads it back: 'virtio 0:1 model.bin' (interface, partition, name)",
        "go": "address at which U-Boot starts it at the end, or `yes` for where it was loaded",
    }
    evidence = "U-Boot 2023.01 under QEMU; lrzsz 0.12"
    keeps_previous = False
    needs_port = True
    requires: Sequence[Requirement] = (Requirement(module="serial", extra="flash"),)

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """Options that do not go together or are no commands of U-Boot."""
        found = []
        if job.option("to", _UBOOT) not in {_UBOOT, _RECEIVER}:
            found.append(Objection(cause=f"to={job.option('to')!r} is neither u-boot nor receiver."))
        if job.option("fatwrite") and not _FILE.fullmatch(job.option("fatwrite")):
            found.append(
                Objection(
                    cause=f"fatwrite={job.option('fatwrite')!r} is not understood.",
                    hint="Write interface, partition and file: --option 'fatwrite=mmc 0:1 model.bin'",
                )
            )
        if job.option("go") and job.option("go") != "yes" and not re.fullmatch(r"0x[0-9a-fA-F]+", job.option("go")):
            found.append(
                Objection(cause=f"go={job.option('go')!r} is no address.", hint="Write go=yes or go=0x42000000")
            )
        return found

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Send it, and have it checked there."""
        with open_line(SerialUrl(port=job.port, baud=job.baud)) as line:
            waits = not job.option("to") and _asks(line)
            if waits or job.option("to") == _RECEIVER:
                return _to_receiver(line, job, progress, ready_s=0 if waits else READY_S)
            return _to_uboot(line, job, progress)


def _asks(line: Line) -> bool:
    """Whether a receiver asks for a file, as it does by itself; whoever does not is taken for U-Boot."""
    deadline = time.monotonic() + _LOOK_S
    while (left := deadline - time.monotonic()) > 0:
        if heard := line.read(left):
            return set(heard) == {READY}
    return False


def _to_receiver(line: Line, job: FlashJob, progress: Progress, *, ready_s: float) -> Flashed:
    content = job.image.path.read_bytes()
    with progress.step(f"send {job.image.path.name}", len(content)) as step:
        resent = Sender(line).send(job.image.path.name, content, step, ready_s=ready_s)
    return Flashed(
        method=_Ymodem.name,
        image=str(job.image.path),
        sha256=job.image.sha256,
        bytes=len(content),
        verified="CRC-16 of every block, by the receiver",
        board="a YMODEM receiver",
        notes=_resent_note(resent),
    )


def _to_uboot(line: Line, job: FlashJob, progress: Progress) -> Flashed:
    boot, content = UBoot(line), job.image.path.read_bytes()
    with progress.step("wait for U-Boot"):
        boot.wait()
    version = _version(boot)
    address = job.asked.address if job.asked.address is not None else _default_address(boot)
    loaded = _Loaded(address, len(content), f"{zlib.crc32(content):08x}")
    with progress.step(f"send {job.image.path.name}", len(content)) as step:
        resent: list[int] = []
        sender = Sender(line, asks_for_content=False)
        said = boot.run(
            f"loady {address:#x}",
            _COMMAND_S,
            lambda: resent.append(sender.send(job.image.path.name, content, step, ready_s=READY_S)),
        )
    _same(_number(rb"= (\d+) Bytes", said), len(content), "the size that U-Boot received")
    _check(boot, loaded)
    notes = list(_resent_note(sum(resent)))
    if job.option("fatwrite"):
        notes.append(_write_file(boot, job.option("fatwrite"), loaded, progress))
    if job.option("go"):
        start = address if job.option("go") == "yes" else int(job.option("go"), 16)
        boot.start(f"go {start:#x}")
        notes.append(f"started at {start:#x}")
    return Flashed(
        method=_Ymodem.name,
        image=str(job.image.path),
        sha256=job.image.sha256,
        bytes=len(content),
        address=address,
        verified=f"CRC-32 {loaded.crc}, computed by U-Boot",
        board=version,
        notes=tuple(notes),
    )


def _version(boot: UBoot) -> str:
    found = re.search(rb"U-Boot [^\s(]+", boot.run("version", _COMMAND_S))
    return found[0].decode("ascii", "replace") if found else "U-Boot"


def _default_address(boot: UBoot) -> int:
    """U-Boot's own variable for where files are loaded to.

    Raises:
        DeviceError: It has none.
    """
    try:
        found = re.search(rb"loadaddr=(?:0x)?([0-9a-fA-F]+)", boot.run("printenv loadaddr", _COMMAND_S))
    except DeviceError:
        found = None
    if found is None:
        raise DeviceError(
            "This U-Boot does not say where files are loaded to (loadaddr).",
            hint="Say it: --address 0x42000000, in the board's RAM (U-Boot's `bdinfo` shows it).",
        )
    return int(found[1], 16)


def _check(boot: UBoot, loaded: _Loaded) -> None:
    """Have U-Boot compute the CRC-32 of its memory.

    Raises:
        DeviceError: It is another.
    """
    said = boot.run(f"crc32 {loaded.address:#x} {loaded.size:#x}", _COMMAND_S)
    found = re.search(rb"==> ([0-9a-f]{8})", said)
    _same(found[1].decode() if found else "none", loaded.crc, "the CRC-32 that U-Boot computed")


def _write_file(boot: UBoot, place: str, loaded: _Loaded, progress: Progress) -> str:
    """Write a file from memory, and read it back to another place."""
    interface, partition, name = place.split()
    beside = loaded._replace(address=loaded.address + (loaded.size + 0xFFFF & ~0xFFFF))
    with progress.step(f"write {name}"):
        if interface == "virtio":
            boot.run("virtio scan", _COMMAND_S)
        boot.run(f"fatwrite {interface} {partition} {loaded.address:#x} {name} {loaded.size:#x}", _WRITE_S)
        boot.run(f"mw.b {beside.address:#x} 0 {loaded.size:#x}", _COMMAND_S)
        boot.run(f"fatload {interface} {partition} {beside.address:#x} {name}", _WRITE_S)
        _check(boot, beside)
    return f"{name} written to {interface} {partition}; read back by U-Boot, same CRC-32"


def _number(pattern: bytes, said: bytes) -> int:
    found = re.search(pattern, said)
    return int(found[1]) if found else -1


def _same(there: object, here: object, what: str) -> None:
    if there != here:
        raise DeviceError(
            f"What arrived is not what was sent: {what} is {there}, and {here} was expected.",
            hint="Is the address in RAM that nothing else uses (U-Boot's `bdinfo`)? Try another: --address",
        )


def _resent_note(resent: int) -> tuple[str, ...]:
    return (f"{resent} blocks had to be sent again: the line changes or loses bytes",) if resent else ()


FLASHER: Flasher = _Ymodem()
