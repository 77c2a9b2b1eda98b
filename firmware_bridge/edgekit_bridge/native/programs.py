"""Where such programs come from: what the user names, or where their makers document them; kept here by their hash.

A file of that name on a device is never trusted: what runs there is what lies here, found equal by SHA-256 each time.
"""

import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from edgekit.artifact import file_entry
from edgekit.device_facts import DeviceFacts
from edgekit.errors import DeviceError, MeasurementError, UsageError
from edgekit.paths import cache_folder
from edgekit.plan import Format
from edgekit.protocols import Link, Progress, Provisioned
from edgekit.publish import whole_file
from edgekit_bridge.harness.stage import stage_program

UNTESTED: Final = "untested on hardware"

_TIMEOUT_S: Final = 60.0
_CALL_S: Final = 60.0
_PIECE_BYTES: Final = 1 << 20

_WEB: Final = ("http://", "https://")

NOT_STARTED: Final = {126: "is no program that this device can start", 127: "lacks a library, or its loader"}
"""What a shell says of a file that it cannot execute (POSIX, Shell Command Language, 2.8.2)."""

_CHOSEN: Final = "chosen"
"""The file beside a program's versions that names the one in use, by its hash."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that executes models of one format and says how long it took.

    Attributes:
        name: Its file name, and what `--runtime` calls it.
        format: What it executes.
        documented: Where its makers put it, by platform; empty where it must be built.
        built: How to get one where it must be built.
    """

    name: str
    format: Format
    documented: Mapping[str, str] = {}
    built: str = ""


_NIGHTLY: Final = "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly"
"""Google's nightly builds (developers.google.com/edge/litert/models/measurement, "Native benchmark binary")."""

PROGRAMS: Final[Mapping[str, Program]] = {
    program.name: program
    for program in (
        Program(
            name="benchmark_model",
            format="tflite",
            documented={
                platform: f"{_NIGHTLY}/latest/{platform}_benchmark_model"
                for platform in ("android_aarch64", "android_arm", "linux_x86-64", "linux_aarch64", "linux_arm")
            },
        ),
        Program(
            name="speed_benchmark_torch",
            format="torchscript",
            built="BUILD_LITE_INTERPRETER=1 scripts/build_android.sh -DBUILD_BINARY=ON in PyTorch's sources (to 2.2)",
        ),
        Program(
            name="onnxruntime_perf_test",
            format="onnx",
            built="./build.sh --android --android_abi arm64-v8a in ONNX Runtime's sources",
        ),
    )
}

_MACHINES: Final = {"aarch64": "aarch64", "armv7l": "arm", "armv8l": "arm", "x86_64": "x86-64"}
"""Google's names of what programs are of."""


def platform_of(facts: DeviceFacts) -> str:
    """What a program must be built for, as Google's nightly builds name it."""
    system = "android" if facts.os.startswith("Android") else "linux"
    return f"{system}_{_MACHINES.get(facts.userland, facts.userland)}"


class Obtaining(msgspec.Struct, frozen=True, kw_only=True):
    """How to get a program; see `edgekit.provision`."""

    origin: str = ""
    sha256: str = ""
    version: str = ""
    upgrade: bool = False
    offline: bool = False


def provide(link: Link, program: Program, facts: DeviceFacts, how: Obtaining, progress: Progress) -> Provisioned:
    """Take a program into the cache, put it on a device, and see that it starts there.

    Raises:
        UsageError: There is no documented place for it, or no such file.
        DeviceError: It could not be downloaded, its SHA-256 is another, or it does not start there.
    """
    if how.version:
        raise UsageError(
            f"{program.name} has no versions to choose from.", hint="Name the file or URL of the one you want: --from"
        )
    platform = platform_of(facts)
    if how.origin or how.upgrade or not _has_chosen(program, platform):
        _obtain(program, platform, how, progress)
    local = kept_program(program, platform)
    entry = file_entry(local)
    there = str(link.home() / "programs" / entry.sha256 / entry.name)
    known = link.run(["test", "-e", there], timeout_s=_CALL_S).returncode == 0
    place = put(link, program, platform, progress)
    _start(link, place, platform)
    return Provisioned(
        runtime=program.name,
        packages={program.name: entry.sha256[:12]},
        folder=place.parent,
        sent_bytes=0 if known else entry.bytes,
        python="",
    )


def withdraw(link: Link, program: Program) -> str:
    """Take every version of a program away from a device; gives its name."""
    folder = str(link.home() / "programs")
    link.run(["sh", "-c", 'rm -rf "$1"/*/"$2"', "sh", folder, program.name], timeout_s=_CALL_S)
    return program.name


def _start(link: Link, place: PurePosixPath, platform: str) -> None:
    """See that a device can start it; what it answers to --help is of no matter.

    Raises:
        DeviceError: It cannot.
    """
    done = link.run(["sh", "-c", '"$1" --help', "sh", str(place)], timeout_s=_TIMEOUT_S)
    if done.returncode in NOT_STARTED:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise DeviceError(
            f"{place.name} does not start there: {words[-1] if words else 'no word of why'}",
            hint=f"It must be built for {platform}: name another by --from.",
        )


def _has_chosen(program: Program, platform: str) -> bool:
    return (_home(program, platform) / _CHOSEN).exists()


def _obtain(program: Program, platform: str, how: Obtaining, progress: Progress) -> None:
    """Take a program into the cache, and choose it."""
    place = how.origin or program.documented.get(platform, "")
    if not place:
        raise UsageError(
            f"There is no documented place for {program.name} of {platform}.",
            hint=f"Name a file or an URL: --from PATH{f'; to build one: {program.built}' if program.built else ''}",
        )
    if how.offline and place.startswith(_WEB):
        raise DeviceError(
            f"{program.name} of {platform} was not downloaded before.", hint="Leave --offline out once, or name a file."
        )
    home = _home(program, platform)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=home) as folder:
        file = Path(folder) / program.name
        _fetch(place, file, progress)
        found = file_entry(file).sha256
        if how.sha256 and found != how.sha256.lower():
            raise DeviceError(
                f"{place} has the SHA-256 {found}, and {how.sha256} was asked for.",
                hint="Somebody may have changed it: get it from where that hash came from.",
            )
        file.chmod(0o755)
        kept = home / found / program.name
        kept.parent.mkdir(exist_ok=True)
        file.replace(kept)
    with whole_file(home / _CHOSEN) as chosen:
        chosen.write_text(f"{found}\n", "utf-8")


def kept_program(program: Program, platform: str) -> Path:
    """The one in use, equal to what was taken into the cache.

    Raises:
        MeasurementError: There is none, or it was changed.
    """
    home = _home(program, platform)
    step = f"edgekit provision DEVICE --runtime {program.name}{'' if program.documented else ' --from PATH'}"
    try:
        wanted = (home / _CHOSEN).read_text("utf-8").strip()
        file = home / wanted / program.name
        found = file_entry(file).sha256
    except OSError:
        raise MeasurementError(
            f"{program.format} is measured there by {program.name}, and there is none for {platform} here.",
            hint=f"Get it: {step}",
        ) from None
    if found != wanted:
        raise MeasurementError(
            f"{file} was changed since it was taken there: its SHA-256 is {found}.", hint=f"Get it anew: {step}"
        )
    return file


def put(link: Link, program: Program, platform: str, progress: Progress) -> PurePosixPath:
    """Have the program on the device, equal to the one here; gives its place there.

    Raises:
        MeasurementError: There is none here.
        DeviceError: The device refused it.
    """
    return stage_program(link, kept_program(program, platform), "programs", progress)


def _home(program: Program, platform: str) -> Path:
    return cache_folder() / "programs" / program.name / platform


def _fetch(origin: str, file: Path, progress: Progress) -> None:
    if not origin.startswith(_WEB):
        if not Path(origin).is_file():
            raise UsageError(f"There is no file {origin}.", hint="Name the program's file, or an http(s) URL.")
        try:
            shutil.copyfile(origin, file)
        except OSError as error:
            raise UsageError(f"Cannot read {origin}: {error.strerror or error}.") from None
        return
    try:
        with urllib.request.urlopen(origin, timeout=_TIMEOUT_S) as answer, file.open("wb") as out:  # noqa: S310 - http(s)
            size = answer.headers.get("Content-Length")
            with progress.step(f"download {file.name}", total=float(size) if size else None) as step:
                while piece := answer.read(_PIECE_BYTES):
                    out.write(piece)
                    step.advance(len(piece))
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DeviceError(
            f"Cannot download {origin}: {reason}.", hint="Download it elsewhere, and name the file: --from PATH"
        ) from None
