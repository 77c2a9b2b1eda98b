"""Arm Cortex-M chips through a debug probe (CMSIS-DAP, ST-Link, J-Link), by the library pyocd (pyocd.io)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from edgekit.errors import DeviceError, EdgekitError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Flasher, Progress, Requirement
from edgekit.publish import whole_file

_BLOCK: Final = 4096


class _Pyocd:
    name = "pyocd"
    title = "Arm Cortex-M chips, through a debug probe (CMSIS-DAP, ST-Link, J-Link)"
    images: Sequence[ImageFormat] = ("elf", "hex", "bin")
    options: Mapping[str, str] = {"probe": "the probe's unique id, or a part of it; default: the only one there is"}
    evidence = "untested on hardware"
    keeps_previous = True
    needs_port = False
    requires: Sequence[Requirement] = (Requirement(module="pyocd", extra="flash"),)

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """No chip, no address, or an image for another processor."""
        if not job.asked.chip:
            return [
                Objection(
                    cause="pyocd has to be told the chip.",
                    hint="--chip nrf52840, or any of `pyocd list --targets` (others: `pyocd pack install NAME`)",
                )
            ]
        if job.image.machine not in {"", "arm"}:
            return [Objection(cause=f"{job.image.path.name} is for {job.image.machine}, and pyocd reaches Arm chips.")]
        if job.image.address is None and job.asked.address is None:
            cause = f"{job.image.path.name} does not say where it goes."
            return [Objection(cause=cause, hint="Say it: --address 0x0, or give an ELF file.")]
        return []

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """Keep the place, write, read back, restart."""
        with _session(job, progress) as session:
            from pyocd.flash.file_programmer import FileProgrammer

            places = [
                (job.asked.address if part.address is None else part.address, part.data) for part in job.image.segments
            ]
            if job.asked.backup:
                with progress.step(f"keep {job.asked.backup.name}"), whole_file(job.asked.backup) as kept:
                    flash = session.target.memory_map.get_boot_memory()
                    kept.write_bytes(bytes(session.target.read_memory_block8(flash.start, flash.length)))
            with progress.step(f"write {job.image.path.name}"):
                session.target.reset_and_halt()
                address = {"base_address": job.asked.address} if job.image.format == "bin" else {}
                FileProgrammer(session).program(str(job.image.path), file_format=job.image.format, **address)
            with progress.step("read back"):
                _compare(session, places)
            session.target.reset()
            board = f"{session.target.part_number} through {session.probe.description}"
        return Flashed(
            method=self.name,
            image=str(job.image.path),
            sha256=job.image.sha256,
            bytes=job.image.size,
            address=places[0][0],
            verified=f"all {job.image.size:,} bytes read back and compared",
            board=board,
            backup=job.asked.backup,
        )


def _compare(session: Any, places: Sequence[tuple[int | None, bytes]]) -> None:
    for address, data in places:
        for start in range(0, len(data), _BLOCK):
            piece, place = data[start : start + _BLOCK], (address or 0) + start
            if bytes(session.target.read_memory_block8(place, len(piece))) != piece:
                raise DeviceError(f"The chip does not hold what was written at {place:#x}.", hint="Write it again.")


@contextmanager
def _session(job: FlashJob, progress: Progress) -> Iterator[Any]:
    """The chip, by its probe.

    Raises:
        DeviceError: There is no probe, it may not be used, or the chip does not answer.
    """
    from pyocd.core.exceptions import Error, TargetSupportError
    from pyocd.core.helpers import ConnectHelper

    try:
        with progress.step("connect"):
            session = ConnectHelper.session_with_chosen_probe(
                blocking=False,
                return_first=True,
                unique_id=job.option("probe") or None,
                options={"target_override": job.asked.chip.lower(), "frequency": 1_000_000},
            )
        if session is None:
            raise DeviceError(
                "There is no debug probe.",
                hint="Plug it in. One that `lsusb` shows and this does not: its udev rules are missing "
                "(pyocd's repository, udev/).",
            )
        with session:
            yield session
    except EdgekitError:
        raise
    except TargetSupportError as error:
        raise DeviceError(
            f"pyocd does not know {job.asked.chip}: {error}", hint="pyocd pack find NAME, then pyocd pack install NAME"
        ) from error
    except (Error, OSError, ValueError) as error:
        raise DeviceError(
            f"The chip could not be flashed: {error}",
            hint="Has it power, are SWDIO, SWCLK and ground connected, and is it unlocked?",
            transient=True,
        ) from error


FLASHER: Flasher = _Pyocd()
