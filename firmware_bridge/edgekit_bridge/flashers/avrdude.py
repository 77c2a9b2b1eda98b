"""avrdude, the program, for AVR boards: the bootloaders of Arduinos, and programmers on a cable.

Its own words for what goes wrong: avrdude 7.1, main.c, stk500.c, arduino.c. It reads back what it wrote and compares.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.firmware_image import ImageFormat
from edgekit.flash_job import Flashed, FlashJob
from edgekit.plan import Objection
from edgekit.protocols import Completed, Flasher, Progress, Requirement
from edgekit.publish import whole_file
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.line import open_line
from edgekit_bridge.transports.program import run_program
from edgekit_bridge.transports.refusals import Fault, explained

_PATIENCE_S: Final = 90.0
"""What avrdude may take beside the bytes: ten calls of a bootloader that does not answer take 56 s."""

_ASK_S: Final = 10.0

_SOCKET: Final = "socket://"

_KINDS: Final = {"elf": "e", "hex": "i", "bin": "r"}
"""How avrdude calls formats (-U memtype:op:file:format)."""

_BOOTLOADERS: Final = frozenset({"arduino", "wiring", "stk500v1", "avr109", "urclock"})
"""Programmers that are a bootloader: it cannot erase the chip, and would erase itself."""

_FAULTS: Final[Sequence[Fault]] = (
    Fault(
        "[Ee]xpected signature for|signature of .* doesn't match",
        "The chip is another one: {signature}, and {chip} was asked for.",
        "Say the one that is there: --chip {probably}",
        False,
    ),
    Fault(
        "not in sync|not responding|can't communicate|timeout|initialization failed",
        "No bootloader answers at {port} ({programmer}, {baud} baud).",
        "Old Nanos and clones speak at --baud 57600, newer ones at 115200. A board without auto-reset: press its reset "
        "as this begins. Boards with a native USB port (Leonardo, Micro): --option programmer=avr109, reset twice.",
        True,
    ),
    Fault("verification (error|mismatch)", "The board does not hold what was written.", "Write it again.", True),
    Fault(
        "out of range|does not fit|too large|outside .* range",
        "The image has bytes where {chip} has no flash: {said}",
        "Is it linked for this chip?",
        False,
    ),
    Fault(
        "AVR part .* not found|unable to find.*part",
        "avrdude knows no chip {chip!r}.",
        "avrdude -p ? lists them.",
        False,
    ),
    Fault(
        "programmer .* not found|find programmer",
        "avrdude knows no programmer {programmer!r}.",
        "avrdude -c ? lists them.",
        False,
    ),
    Fault("unable to open", "avrdude could not open {port}: {said}", "Is it plugged in?", True),
)


class _Avrdude:
    name = "avrdude"
    title = "AVR chips, through an Arduino's bootloader or a programmer"
    images: Sequence[ImageFormat] = ("elf", "hex", "bin")
    options: Mapping[str, str] = {
        "programmer": "avrdude's -c; default: arduino",
        "attempts": "how often an Arduino's bootloader is called, about 6 s each; default: 3",
    }
    evidence = "ATmegaBOOT on simavr's ATmega328P"
    keeps_previous = True
    needs_port = True
    requires: Sequence[Requirement] = ()

    def objections(self, job: FlashJob) -> Sequence[Objection]:
        """No avrdude, no chip, or an image for another processor."""
        found = []
        if not shutil.which("avrdude"):
            found.append(Objection(cause="There is no avrdude on this machine.", hint="Debian: apt install avrdude"))
        if not job.asked.chip:
            found.append(Objection(cause="avrdude has to be told the chip.", hint="An Uno or Nano: --chip atmega328p"))
        if job.image.machine not in {"", "avr"}:
            found.append(Objection(cause=f"{job.image.path.name} is for {job.image.machine}, not for AVR."))
        if not job.option("attempts", "3").isdecimal():
            found.append(Objection(cause=f"attempts={job.option('attempts')!r} is no number."))
        room = 0 if found else _flash_bytes(job.asked.chip)
        end = job.image.end or job.image.size
        if room and end > room:
            cause = f"{job.image.path.name} ends at {end:,}, and {job.asked.chip} holds {room:,}."
            found.append(Objection(cause=cause, hint="Is it linked for this chip?"))
        return found

    def flash(self, job: FlashJob, progress: Progress) -> Flashed:
        """One call: keep what is there, write, read back."""
        if job.port.startswith("/"):
            with open_line(SerialUrl(port=job.port, baud=job.baud)):
                """It is there, may be opened, and nobody has it."""
        backup = job.asked.backup
        limit_s = _PATIENCE_S + 3 * (job.image.size + (_flash_bytes(job.asked.chip) if backup else 0)) * 20 / job.baud
        with whole_file(backup) if backup else nullcontext() as kept, progress.step(f"flash {job.image.path.name}"):
            done = run_program(_argv(job, kept), stdin=b"", timeout_s=limit_s, on_line=None)
            said = done.stderr.decode(errors="replace")
            verified = re.search(r"(\d+) bytes of flash verified", said)
            if done.returncode or verified is None:
                raise _error(job, done)
        signature = re.search(r"signature = (0x\w+)(?: \(probably (\w+)\))?", said)
        return Flashed(
            method=self.name,
            image=str(job.image.path),
            sha256=job.image.sha256,
            bytes=int(verified[1]),
            address=job.image.address or 0,
            verified=f"avrdude read {int(verified[1]):,} bytes back and compared them",
            board=f"{job.asked.chip} (signature {signature[1]})" if signature else job.asked.chip,
            backup=backup,
        )


def _flash_bytes(chip: str) -> int:
    """How much flash a chip has, by avrdude's own tables; 0 where it does not tell."""
    listed = run_program(["avrdude", "-p", "?"], stdin=b"", timeout_s=_ASK_S, on_line=None).stderr.decode()
    names = {name.lower(): id_ for id_, name in re.findall(r"^\s*(\w+)\s*= (\w+)", listed, re.MULTILINE)}
    part = names.get(chip.lower(), chip)
    done = run_program(["avrdude", "-p", f"{part}/S"], stdin=b"", timeout_s=_ASK_S, on_line=None)
    found = re.search(rb'memory "flash".*?\bsize\s*=\s*(0x[0-9a-f]+|\d+)', done.stdout, re.DOTALL)
    return int(found[1], 0) if found else 0


def _argv(job: FlashJob, kept: Path | None) -> list[str]:
    programmer = job.option("programmer", "arduino")
    port = f"net:{job.port.removeprefix(_SOCKET)}" if job.port.startswith(_SOCKET) else job.port
    argv = ["avrdude", "-c", programmer, "-p", job.asked.chip, "-P", port, "-b", str(job.baud)]
    argv += ["-x", f"attempts={job.option('attempts', '3')}"] if programmer == "arduino" else []
    argv += ["-D"] if programmer in _BOOTLOADERS else []
    argv += ["-U", f"flash:r:{kept}:r"] if kept else []
    return [*argv, "-U", f"flash:w:{job.image.path.absolute()}:{_KINDS[job.image.format]}"]


def _error(job: FlashJob, done: Completed) -> DeviceError:
    said = done.stderr.decode(errors="replace")
    lines = [line.strip() for line in said.splitlines() if "error" in line and "TIOCM" not in line]
    found = re.search(r"signature = (0x\w+)(?: \(probably (\w+)\))?", said)
    names = {
        "chip": job.asked.chip,
        "port": job.port,
        "baud": job.baud,
        "programmer": job.option("programmer", "arduino"),
        "said": lines[-1] if lines else "it said nothing",
        "signature": f"signature {found[1]}" if found else "another signature",
        "probably": (found[2] if found else "") or "NAME",
    }
    known = explained(said, _FAULTS, {name: str(value) for name, value in names.items()})
    return known or DeviceError(f"avrdude failed: {names['said']}", hint="Try by hand: avrdude -v …")


FLASHER: Flasher = _Avrdude()
