"""Espressif's chips, by the library esptool (docs.espressif.com/projects/esptool: Using esptool as a Python module)."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from edgekit.errors import DeviceError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Flasher, Progress, Requirement
from edgekit.publish import whole_file
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.line import open_line
from edgekit_bridge.transports.refusals import Fault, explained

APP_ADDRESS: Final = 0x10000
"""Where ESP-IDF's default partition table has the application (ESP-IDF, Partition Tables)."""

_SECTOR: Final = 0x1000

_FAULTS: Final[Sequence[Fault]] = (
    Fault(
        "Wrong boot mode|boot mode detected",
        "The chip at {port} runs its program and not its loader: {said}",
        "Hold BOOT (GPIO0, on newer chips GPIO9), press reset, let go of BOOT; then try again.",
        True,
    ),
    Fault(
        "No serial data received|Failed to connect|Invalid head of packet|Timed out",
        "No Espressif chip answers at {port} ({baud} baud).",
        "Hold BOOT (GPIO0, on newer chips GPIO9) while this begins, or press reset; a lower --baud; another cable.",
        True,
    ),
    Fault(
        "chip.* is not|This chip|not .*image for", "The image is for another chip: {said}", "Build it for it.", False
    ),
    Fault("does not fit|exceeds|too large|beyond", "The image does not fit: {said}", "A larger flash, or less.", False),
    Fault(
        "digest|[Hh]ash|MD5|verify|Verification",
        "The chip does not hold what was written: {said}",
        "Write it again.",
        True,
    ),
)
"""What esptool says (loader.py, cmds.py), what it means, and what to do."""


class _Esptool:
    name = "esptool"
    title = "Espressif's ESP32 and ESP8266 chips"
    images: Sequence[ImageFormat] = ("esp", "bin")
    options: Mapping[str, str] = {
        "before": "esptool's --before (default-reset, usb-reset, no-reset); default: default-reset"
    }
    evidence = "untested on hardware"
    keeps_previous = True
    needs_port = True
    requires: Sequence[Requirement] = (Requirement(module="esptool", extra="flash"),)

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """Plain bytes that say no address, an address in the middle of a sector."""
        if job.image.format == "bin" and job.asked.address is None:
            return [
                Objection(
                    cause=f"{job.image.path.name} does not say where it goes.",
                    hint="Say it: --address 0x0 for a merged image, 0x10000 for an application.",
                )
            ]
        if _address(job) % _SECTOR:
            return [Objection(cause=f"{_address(job):#x} is no beginning of a sector of 4 KiB.")]
        if job.image.chip and job.asked.chip.lower() not in {"", job.image.chip}:
            return [
                Objection(cause=f"{job.image.path.name} is for {job.image.chip}, and {job.asked.chip} was asked for.")
            ]
        return []

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Keep the place, write, verify, restart."""
        with open_line(SerialUrl(port=job.port, baud=job.baud)):
            """It is there, may be opened, and nobody has it."""
        size = job.image.path.stat().st_size
        with _connected(job, progress) as (esp, chip):
            import esptool

            place = [(_address(job), str(job.image.path))]
            if job.asked.backup:
                with progress.step(f"keep {job.asked.backup.name}"), whole_file(job.asked.backup) as kept:
                    esptool.read_flash(esp, 0, esptool.flash_size_bytes(esptool.detect_flash_size(esp)), str(kept))
            with progress.step(f"write {job.image.path.name}"):
                esptool.write_flash(esp, place)
            with progress.step("verify"):
                esptool.verify_flash(esp, place)
            esptool.reset_chip(esp, "hard-reset")
        return Flashed(
            method=self.name,
            image=str(job.image.path),
            sha256=job.image.sha256,
            bytes=size,
            address=_address(job),
            verified="MD5 of the flash, computed by the chip, by esptool",
            board=chip,
            backup=job.asked.backup,
        )


def _address(job: FlashJob) -> int:
    return APP_ADDRESS if job.asked.address is None else job.asked.address


@contextmanager
def _connected(job: FlashJob, progress: Progress) -> Iterator[tuple[Any, str]]:
    """The chip, with esptool's own loader in it, and what it is; esptool's words are kept for what goes wrong.

    Raises:
        DeviceError: It does not answer, is another one, or something failed on it.
    """
    import esptool

    esp, words = None, io.StringIO()
    try:
        with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
            with progress.step("connect"):
                before = job.option("before", "default-reset")
                esp = esptool.detect_chip(job.port, job.baud, connect_mode=before, connect_attempts=3)
                _check_chip(job, str(esp.CHIP_NAME))
                esp = esptool.run_stub(esp)
                esptool.attach_flash(esp)
            yield esp, str(esp.CHIP_NAME)
    except (esptool.FatalError, OSError) as error:
        said = (str(error).strip().splitlines() or ["it said nothing"])[0]
        known = explained(f"{error}", _FAULTS, {"port": job.port, "baud": str(job.baud), "said": said})
        raise known or DeviceError(f"esptool failed at {job.port}: {said}", hint="Try again.") from error
    finally:
        if esp is not None:
            esp._port.close()  # noqa: SLF001 - esptool's own way to close it, as its documentation has it


def _check_chip(job: FlashJob, there: str) -> None:
    wanted = job.asked.chip.lower().replace("-", "")
    if wanted and wanted != there.lower().replace("-", ""):
        raise DeviceError(
            f"The chip at {job.port} is {there}, and the image or --chip says {job.asked.chip}.",
            hint="Is it the right board? Build the image for the chip that is there.",
        )


FLASHER: Flasher = _Esptool()
