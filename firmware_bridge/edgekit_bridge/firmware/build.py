"""Build firmware: a model compiled to C, the harness, and the port of a board, as ELF, binary and Intel HEX."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from edgekit import __version__
from edgekit.artifact import Artifact, FileEntry, file_entry
from edgekit.errors import ConversionError, UsageError
from edgekit.paths import cache_folder
from edgekit.protocols import Progress
from edgekit.publish import staging
from edgekit_bridge.firmware.config import check_format, config_header
from edgekit_bridge.firmware.ports import SOURCES, Port, port_for

RECORD: Final = "firmware.json"

RECORD_VERSION: Final = 1
"""1: first."""

_COMPILE_S: Final = 600.0
_PROGRAM: Final = "firmware.elf"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """Firmware that was built; also what `firmware.json` beside it holds.

    Attributes:
        record_version: The version of this schema (`RECORD_VERSION`).
        edgekit: The version of edgekit that built it.
        target: The target profile's name.
        artifact: The name of the artifact that it holds.
        artifact_id: Its id.
        compiler: The compiler's own first line.
        flash_bytes: Code, constants and initial values; 0 for a program of this machine.
        ram_bytes: Variables, the arena among them, without the stack; 0 for a program of this machine.
        files: ELF, and binary and HEX for a board.
    """

    record_version: int
    edgekit: str
    target: str
    artifact: str
    artifact_id: str
    compiler: str
    flash_bytes: int
    ram_bytes: int
    files: tuple[FileEntry, ...]


def build(
    artifact: Artifact, target: str, out: Path, progress: Progress, *, optimize: str = "-O2", keep_inputs: bool = True
) -> Image:
    """Build firmware into a folder; what an earlier build left there is replaced.

    Args:
        artifact: A model compiled to C.
        target: The board, or `posix` for a program of this machine.
        out: Where the files go.
        progress: Told of each step.
        optimize: The compiler's optimization (`-O2`, `-O3`, `-Os`).
        keep_inputs: Whether inputs get RAM of their own (see `edgekit_config.h`).

    Raises:
        UsageError: There is no such port, its compiler is not installed, or the artifact is of another format.
        ConversionError: It does not compile, or does not fit; names the log.
    """
    check_format(artifact)
    port = port_for(target)
    compiler = _version(port)
    with staging(out) as work, progress.step(f"build {artifact.manifest.name} for {target}"):
        _write_sources(work, artifact, keep_inputs=keep_inputs)
        _compile(port, work, optimize)
        flash, ram = _sizes(port, work)
        made = [work / _PROGRAM, *_other_forms(port, work)]
        image = Image(
            record_version=RECORD_VERSION,
            edgekit=__version__,
            target=target,
            artifact=artifact.manifest.name,
            artifact_id=artifact.id,
            compiler=compiler,
            flash_bytes=flash,
            ram_bytes=ram,
            files=tuple(file_entry(path) for path in made),
        )
        (work / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(image), indent=1) + b"\n")
        for path in (*made, work / RECORD):
            path.replace(out / path.name)
    return image


def load_image(folder: Path) -> Image:
    """Read what a build left.

    Raises:
        UsageError: It is no folder of such a build, or its files are not those that were built.
    """
    try:
        image = msgspec.json.decode((folder / RECORD).read_bytes(), type=Image)
    except (OSError, msgspec.DecodeError):
        raise UsageError(
            f"{folder} holds no firmware that edgekit built.", hint="edgekit firmware build ARTIFACT --target T -o DIR"
        ) from None
    for entry in image.files:
        if not (folder / entry.name).is_file() or file_entry(folder / entry.name) != entry:
            raise UsageError(f"{folder / entry.name} is not the file that was built.", hint="Build it again.")
    return image


def _version(port: Port) -> str:
    if shutil.which(port.compiler) is None:
        raise UsageError(
            f"Firmware for {port.target} needs {port.compiler}, which is not installed.", hint=port.install
        )
    done = subprocess.run([port.compiler, "--version"], capture_output=True, text=True, check=False, timeout=60)
    return next(iter(done.stdout.splitlines()), port.compiler)


def _write_sources(work: Path, artifact: Artifact, *, keep_inputs: bool) -> None:
    for entry in artifact.manifest.files:
        if entry.name.endswith((".c", ".h")):
            shutil.copyfile(artifact.path / entry.name, work / entry.name)
    (work / "edgekit_config.h").write_text(config_header(artifact, keep_inputs=keep_inputs))


def _compile(port: Port, work: Path, optimize: str) -> None:
    folders = [SOURCES / "ports" / name for name in port.folders]
    files = [path for folder in (work, SOURCES, *folders) for path in sorted(folder.glob("*.c"))]
    argv = [
        port.compiler, "-std=c99", optimize, "-Wall", "-ffunction-sections", "-fdata-sections", *port.flags,
        *(f"-I{folder}" for folder in (work, SOURCES, *folders)), *map(str, files), *port.link,
        *(["-T", str(SOURCES / "ports" / port.script)] if port.script else []), "-lm", "-o", str(work / _PROGRAM),
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_COMPILE_S)
    if done.returncode:
        raise _compiler_said(port, done.stderr)


def _compiler_said(port: Port, text: str) -> ConversionError:
    log = cache_folder() / "logs" / f"firmware-{hashlib.sha256(text.encode()).hexdigest()[:12]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text, "utf-8")
    lines = [line for line in text.splitlines() if "error" in line or "overflow" in line or "will not fit" in line]
    first = next(iter(lines), text.strip()[:300] or "it said nothing")
    small = "overflow" in text or "do not fit" in text or "will not fit" in text
    return ConversionError(
        f"{port.compiler} does not build it: {first[:300]}",
        hint="It is too large for the board: --precision int8, or a smaller model." if small else "See the log.",
        log=log,
    )


def _sizes(port: Port, work: Path) -> tuple[int, int]:
    """Flash and RAM of the image, from its sections; 0 for a program of this machine."""
    if not port.script:
        return 0, 0
    argv = [f"{port.binutils}size", str(work / _PROGRAM)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    text, data, bss = (int(word) for word in done.stdout.splitlines()[1].split()[:3])
    return text + data, data + bss


def _other_forms(port: Port, work: Path) -> list[Path]:
    """What programmers take beside ELF."""
    if not port.script:
        return []
    made = []
    for form, suffix in (("binary", "bin"), ("ihex", "hex")):
        path = (work / _PROGRAM).with_suffix(f".{suffix}")
        argv = [f"{port.binutils}objcopy", "-O", form, str(work / _PROGRAM), str(path)]
        subprocess.run(argv, capture_output=True, check=True, timeout=60)
        made.append(path)
    return made
