"""Wheels for a device, chosen and downloaded on this machine by pip, and kept: the second time needs no network."""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from edgekit.device_facts import DeviceFacts, PythonFacts
from edgekit.errors import DeviceError
from edgekit.paths import cache_folder
from edgekit.protocols import Progress

_DOWNLOAD_S: Final = 3600.0

_INDEX_HINT: Final = "See that pip reaches its index from this machine; proxies and indexes are pip's own settings."

_OLDEST_GLIBC: Final = {"x86_64": 5}
"""The minor version of the first glibc 2 that wheels are tagged with (PEP 600); 17 elsewhere."""

_LEGACY: Final = {"x86_64": ("manylinux2014", "manylinux2010", "manylinux1"), "i686": ("manylinux2014",)}
"""Tags from before PEP 600 (PEP 513, 571, 599)."""

_OLDEST_MUSL: Final = 1

_UNREACHED: Final = r"Could not fetch URL \S+: (?!404 )(.+) - skipping|(Location '.*' is ignored: .+)"
"""How pip says at -vv that an index, or a folder of wheels, gave no answer (pip's collector.py and sources.py)."""


def platforms_of(facts: DeviceFacts) -> list[str]:
    """The platform tags that fit, the best first.

    Raises:
        DeviceError: Its C library is unknown.
    """
    arch = facts.userland
    name, _, version = facts.libc.partition(" ")
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    if name not in {"glibc", "musl"} or len(numbers) < 2:  # noqa: PLR2004 - major and minor
        raise DeviceError(
            f"The device's C library is {facts.libc or 'unknown'}; there are wheels for glibc and musl only.",
            hint="Install the runtime there by the system's own means.",
        )
    major, minor = numbers
    if name == "musl":
        return [f"musllinux_{major}_{number}_{arch}" for number in range(minor, _OLDEST_MUSL - 1, -1)]
    modern = [f"manylinux_{major}_{number}_{arch}" for number in range(minor, _OLDEST_GLIBC.get(arch, 17) - 1, -1)]
    legacy = [f"{old}_{arch}" for old in _LEGACY.get(arch, ("manylinux2014",))]
    return [*modern, *legacy, f"linux_{arch}"]


def fitting_tags(facts: DeviceFacts, python: PythonFacts) -> frozenset[Tag]:
    """Every tag of a wheel that the device's Python would take."""
    version, platforms = python_version(python), platforms_of(facts)
    interpreter = f"{python.implementation}{version[0]}{version[1]}"
    own = cpython_tags(version, [python.abi], platforms)
    return frozenset([*own, *compatible_tags(version, interpreter, platforms)])


def python_version(python: PythonFacts) -> tuple[int, int]:
    """Major and minor."""
    major, minor, *_ = python.version.split(".")
    return int(major), int(minor)


def wheelhouse(
    requirements: Sequence[str],
    facts: DeviceFacts,
    python: PythonFacts,
    progress: Progress,
    *,
    upgrade: bool = False,
    offline: bool = False,
) -> Sequence[Path]:
    """The wheels, from the cache or downloaded into it: all of them or none.

    Args:
        requirements: What is needed (PEP 508); exactly that, and nothing that it would bring along.
        facts: What the device is.
        python: Its interpreter.
        progress: Told of a download.
        upgrade: Look for newer ones.
        offline: Start no download.

    Raises:
        DeviceError: No wheel fits the device, or it cannot be downloaded.
    """
    home = cache_folder().absolute() / "wheels"
    words = [*requirements, python.version, python.abi, *platforms_of(facts)]
    place = home / hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]
    if place.is_dir() and not upgrade:
        return _sound(place)
    if offline:
        raise DeviceError(
            f"The wheels of {requirements[0]} for this device are not in the cache.",
            hint="Once with a network: the same command without --offline.",
        )
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        if upgrade or not place.is_dir():  # what another device asked for while we waited is there
            _fill(place, requirements, facts, python, progress)
    return _sound(place)


def _fill(
    place: Path, requirements: Sequence[str], facts: DeviceFacts, python: PythonFacts, progress: Progress
) -> None:
    home = place.parent
    with (
        progress.step(f"download {', '.join(requirements)}"),
        tempfile.TemporaryDirectory(prefix="download-", dir=home) as folder,
    ):
        new = Path(folder) / "wheels"
        _download(requirements, facts, python, new)
        old = Path(folder) / "old"
        if place.is_dir():
            place.rename(old)
        new.rename(place)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Exclusive among threads and processes: an advisory lock on the folder itself, which leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def wheel_hash(wheel: Path) -> str:
    """SHA-256 of a wheel."""
    with wheel.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sound(place: Path) -> Sequence[Path]:
    wheels = sorted(place.glob("*.whl"))
    if not wheels:
        raise DeviceError(f"{place} holds no wheels.", hint="Download them again: --upgrade")
    return wheels


def _download(requirements: Sequence[str], facts: DeviceFacts, python: PythonFacts, folder: Path) -> None:
    version = ".".join(map(str, python_version(python)))
    what = ["--no-deps", "--only-binary=:all:", "--python-version", version]
    what += ["--implementation", python.implementation, "--abi", python.abi]
    what += [word for platform in platforms_of(facts) for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-vv", "download"]
    try:
        done = subprocess.run(
            [*pip, *what, "--dest", str(folder), *requirements],
            capture_output=True,
            text=True,
            check=False,
            timeout=_DOWNLOAD_S,
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"pip did not end within {_DOWNLOAD_S:g} s.", hint="Try again.", transient=True) from None
    if done.returncode:
        raise _explained(done.stdout + done.stderr, facts, python)


def _explained(said: str, facts: DeviceFacts, python: PythonFacts) -> DeviceError:
    """Why pip found nothing: the wheels that it passed over tell what they would have needed."""
    where = f"Python {python.version}, {facts.libc}, {facts.userland}"
    missing = re.search(r"No matching distribution found for (\S+)", said)
    if missing is None:
        errors = [line for line in said.splitlines() if line.startswith("ERROR")] or said.strip().splitlines() or [""]
        return DeviceError(
            f"pip could not download the wheels: {errors[-1].removeprefix('ERROR: ')}",
            hint=_INDEX_HINT,
        )
    name = missing[1]
    wheels = _wheels_for(said, facts.userland, re.split(r"[<>=!~ ]", name)[0])
    unreached = re.search(_UNREACHED, said)
    if unreached and not wheels:
        return DeviceError(
            f"pip found no wheel of {name}, and not all of its index could be reached: {unreached[1] or unreached[2]}",
            hint=_INDEX_HINT,
            transient=True,
        )
    if not wheels:
        return DeviceError(
            f"There is no wheel of {name} for the device ({where}): none for {facts.userland}.",
            hint="Take another runtime (`edgekit targets show` names those that run there).",
        )
    return DeviceError(
        f"No wheel of {name} fits the device ({where}); there are some for {_spans(wheels)}.",
        hint="Take an older --version, or bring the device's system up to date.",
    )


def _wheels_for(said: str, arch: str, name: str) -> list[Tag]:
    tags: list[Tag] = []
    for file in set(re.findall(r"([A-Za-z0-9_.]+-[^/\s]+\.whl)", said)):
        try:
            found, _, _, those = parse_wheel_filename(file)
        except ValueError:
            continue
        if found.replace("-", "") == re.sub(r"[-_.]", "", name).lower():
            tags += [tag for tag in those if tag.platform.endswith(f"_{arch}")]
    return tags


def _spans(tags: Sequence[Tag]) -> str:
    pythons = sorted({tag.interpreter for tag in tags}, key=lambda name: (len(name), name))
    glibcs = sorted({int(found[1]) for tag in tags if (found := re.match(r"manylinux_2_(\d+)_", tag.platform))})
    glibc = f", glibc 2.{glibcs[0]} and newer" if glibcs else ""
    return f"{', '.join(pythons)}{glibc}"
