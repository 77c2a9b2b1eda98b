"""The boot loader in the ROM of STM32 chips, over a UART (ST AN3155, AN2606), by the library stm32loader."""

import contextlib
import io
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgekit.errors import DeviceError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Flasher, Progress, Requirement
from edgekit.publish import whole_file
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.port import open_port

if TYPE_CHECKING:
    from serial import SerialBase

FLASH: Final = 0x08000000
"""Where every STM32's flash begins (AN2606)."""

_BLOCK: Final = 256
_MOST_BYTES: Final = 1 << 21
_ANSWER_S: Final = 2.0
_BOOT_HINT: Final = (
    "Set BOOT0 high and press reset (Nucleo and Discovery boards: a jumper), and connect the UART that AN2606 names "
    "for this chip. Where DTR resets it and RTS is BOOT0: --option lines=dtr-rts"
)


class _Connection:
    """A port as stm32loader wants it: 8 bits, even parity; and the two lines that some adapters reset chips with."""

    def __init__(self, port: "SerialBase", *, lines: bool) -> None:
        self._port = port
        self._lines = lines
        try:
            port.parity = "E"
        except termios.error:  # a line that has none: a pty, and some USB adapters that send it all the same
            port.parity = "N"
        port.timeout = _ANSWER_S
        self.timeout = _ANSWER_S

    def read(self, count: int = 1) -> bytes:
        self._port.timeout = self.timeout
        return bytes(self._port.read(count))

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def enable_reset(self, enable: bool = True) -> None:
        if self._lines:
            self._port.dtr = enable

    def enable_boot0(self, enable: bool = True) -> None:
        if self._lines:
            self._port.rts = not enable


class _Stm32:
    name = "stm32"
    title = "the boot loader in STM32 chips' ROM, over a UART"
    images: Sequence[ImageFormat] = ("elf", "hex", "bin")
    options: Mapping[str, str] = {
        "lines": "dtr-rts when the adapter's DTR resets the chip and RTS is BOOT0; default: by hand",
        "erase": "no, for a chip that is blank; default: all of it, which AN3155 has every chip do",
    }
    evidence = "untested on hardware"
    keeps_previous = True
    needs_port = True
    requires: Sequence[Requirement] = (Requirement(module="stm32loader", extra="flash"),)

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """An image for another processor, or for no flash."""
        address = _address(job)
        if job.image.machine not in {"", "arm"}:
            return [Objection(cause=f"{job.image.path.name} is for {job.image.machine}, and an STM32 is an Arm chip.")]
        if not FLASH <= address < FLASH + _MOST_BYTES:
            cause = f"{address:#x} is not in an STM32's flash, which begins at {FLASH:#x}."
            return [Objection(cause=cause, hint="Is the image linked for flash? Plain bytes: leave --address out.")]
        return []

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Keep, erase, write, read back, start."""
        content, address = job.image.flat(), _address(job)
        with open_port(SerialUrl(port=job.port, baud=job.baud)) as port, _errors(job):
            loader = _reached(port, job)
            chip = _checked_chip(loader, job)
            if job.asked.backup:
                _keep(loader, job.asked.backup, progress)
            if job.option("erase") != "no":
                with progress.step("erase"):
                    loader.erase_memory()
            with progress.step(f"write {job.image.path.name}", len(content)) as step:
                for start in range(0, len(content), _BLOCK):
                    loader.write_memory(address + start, content[start : start + _BLOCK])
                    step.advance(len(content[start : start + _BLOCK]))
            with progress.step("read back", len(content)) as step:
                for start in range(0, len(content), _BLOCK):
                    piece = content[start : start + _BLOCK]
                    if bytes(loader.read_memory(address + start, len(piece))) != piece:
                        raise DeviceError(
                            f"The chip does not hold what was written at {address + start:#x}.",
                            hint="Is that flash erased and not write-protected? Try again without --option erase=no",
                        )
                    step.advance(len(piece))
            loader.go(FLASH)
        return Flashed(
            method=self.name,
            image=str(job.image.path),
            sha256=job.image.sha256,
            bytes=len(content),
            address=address,
            verified=f"all {len(content):,} bytes read back and compared",
            board=chip,
            backup=job.asked.backup,
        )


def _address(job: FlashJob) -> int:
    if job.image.address is not None:
        return job.image.address
    return FLASH if job.asked.address is None else job.asked.address


def _reached(port: "SerialBase", job: FlashJob) -> Any:
    """The loader, which answers.

    Raises:
        DeviceError: It does not.
    """
    from stm32loader.bootloader import CommandError, Stm32Bootloader

    connection = _Connection(port, lines=job.option("lines") == "dtr-rts")
    loader = Stm32Bootloader(connection, verbosity=0)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            loader.reset_from_system_memory()
        time.sleep(0.01)
        loader.get()
    except (CommandError, IndexError):
        raise DeviceError(
            f"No STM32 boot loader answers at {job.port} ({job.baud} baud, even parity).",
            hint=_BOOT_HINT,
            transient=True,
        ) from None
    return loader


def _checked_chip(loader: Any, job: FlashJob) -> str:
    """What the chip says that it is.

    Raises:
        DeviceError: It is of another family than was asked for.
    """
    from stm32loader.bootloader import CHIP_IDS

    product = loader.get_id()
    title = CHIP_IDS.get(product, "an STM32 that stm32loader does not know")
    family = job.asked.chip.lower()[: len("stm32f4")]
    if family and title.startswith("STM32") and not title.lower().startswith(family):
        raise DeviceError(
            f"The chip is {title} (id {product:#x}), and {job.asked.chip} was asked for.",
            hint="Is it the right board? Else leave --chip out, and say --method stm32.",
        )
    return f"{title} (id {product:#x})"


def _keep(loader: Any, file: Path, progress: Progress) -> None:
    """Read flash until the chip refuses, which is where it ends."""
    from stm32loader.bootloader import CommandError

    kept = bytearray()
    with whole_file(file) as beside:
        with progress.step(f"keep what is there in {file.name}") as step:
            with contextlib.suppress(CommandError):
                while len(kept) < _MOST_BYTES:
                    kept += loader.read_memory(FLASH + len(kept), _BLOCK)
                    step.advance(_BLOCK)
            if not kept:
                raise DeviceError(
                    "The chip does not let its flash be read.",
                    hint="It is read-protected: leave --backup out; writing it then erases it.",
                )
        beside.write_bytes(kept)


@contextmanager
def _errors(job: FlashJob) -> Iterator[None]:
    """What stm32loader raises, as errors that say what to do."""
    from stm32loader.bootloader import Stm32LoaderError

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    except (Stm32LoaderError, IndexError, OSError) as error:
        protected = "NACK" in str(error)
        raise DeviceError(
            f"The boot loader at {job.port} {'refused' if protected else 'did not finish'}: {error}.",
            hint="The chip may be read- or write-protected (option bytes)." if protected else _BOOT_HINT,
            transient=not protected,
        ) from error


FLASHER: Flasher = _Stm32()
