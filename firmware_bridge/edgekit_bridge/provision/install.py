"""Put a runtime into a folder of its own on a device: no root, no pip and no network needed there."""

import hashlib
import json
import shlex
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from edgekit.device_facts import DeviceFacts, PythonFacts
from edgekit.errors import DeviceError, UsageError
from edgekit.protocols import Link, Progress, Provisioned, Provisioner
from edgekit.target import TargetProfile
from edgekit_bridge.native.programs import PROGRAMS, Obtaining, provide, withdraw
from edgekit_bridge.probe.describe import describe
from edgekit_bridge.provision import on_device_install
from edgekit_bridge.provision.needs import RUNTIMES, RuntimeNeed, need_of
from edgekit_bridge.provision.wheels import wheel_hash, wheelhouse
from edgekit_bridge.transports.refusals import refusal

_UNPACK_S: Final = 3600.0
"""torch's 300 MB take minutes on an emulated board."""

_IMPORT_S: Final = 600.0
_CALL_S: Final = 60.0

_SPARE_BYTES: Final = 16 << 20

_IN_USE: Final = '[ -d "$1/current" ] && readlink "$1/current"'
"""A link that leads nowhere is none."""

_PREPARE: Final = r"""
mkdir -p "$1" && cd "$1" || exit 1
[ -e current ] || rm -f current
rm -rf incoming && mkdir incoming
"""

_SWITCH: Final = r"""
cd "$1" && ln -sfn "$2" current.new && mv -Tf current.new current && rm -rf incoming || exit 1
for old in *; do
    case $old in current | "$2") ;; *) rm -rf "$old" ;; esac
done
"""

_CLEAR: Final = r"""
cd "$1" 2>/dev/null || exit 0
rm -rf incoming current.new
[ "$(readlink current)" = "$2" ] || rm -rf "$2"
"""
"""Who has lost the connection during the switch does not know whether it took place; then nothing else is left."""

_HINTS: Final = {
    "libgomp": "The device lacks OpenMP's library (Debian: sudo apt install libgomp1).",
    "libstdc++": "The device lacks the C++ library (Debian: sudo apt install libstdc++6).",
    "GLIBC_": "The wheel wants a newer C library than the device has: take an older --version.",
    "libatomic": "The device lacks libatomic (Debian: sudo apt install libatomic1).",
}
"""The next step for what an import says is missing."""

_ILLEGAL: Final = 132
"""128 + SIGILL, as a shell tells it."""


class _Answer(msgspec.Struct, frozen=True):
    done: bool
    why: str = ""


class _Provisioner:
    def names(self) -> Sequence[str]:
        """Every runtime that can be installed."""
        return [*RUNTIMES, *PROGRAMS]

    def install(
        self,
        link: Link,
        target: TargetProfile,
        progress: Progress,
        *,
        runtime: str = "",
        version: str = "",
        upgrade: bool = False,
        offline: bool = False,
        origin: str = "",
        sha256: str = "",
    ) -> Provisioned:
        """Choose, download, send, unpack, import, and switch to it.

        Raises:
            UsageError: There is no such runtime, or the version is none.
            DeviceError: No wheel fits, the device refused something, or the runtime does not work there.
        """
        with progress.step("ask the device what it is"):
            facts = describe(link)
        name = runtime or ("" if facts.python else next(iter(PROGRAMS)))
        if name in PROGRAMS:
            how = Obtaining(origin=origin, sha256=sha256, version=version, upgrade=upgrade, offline=offline)
            return provide(link, PROGRAMS[name], facts, how, progress)
        if origin or sha256:
            raise UsageError(
                f"--from and --sha256 are for programs: {', '.join(PROGRAMS)}.", hint="Wheels are found by --version."
            )
        need = _chosen(runtime, target)
        requirements = _requirements(need, version or _known_version(need, target))
        if facts.python is None:
            link.python()  # says what to do about it
            raise DeviceError("The device's Python says nothing of itself.", hint="It needs Python 3.6 or newer.")
        wheels = wheelhouse(requirements, facts, facts.python, progress, upgrade=upgrade, offline=offline)
        return _Installation(link, need, wheels, progress).go(facts, facts.python)

    def remove(self, link: Link, runtime: str) -> str:
        """Take a runtime away."""
        if runtime in PROGRAMS:
            return withdraw(link, PROGRAMS[runtime])
        name = need_of(runtime).name
        folder = link.home() / "runtimes" / name
        done = link.run(["rm", "-rf", str(folder)], timeout_s=_CALL_S)
        if done.returncode:
            raise refusal(f"Cannot remove {folder}", done.stderr)
        return name


def _chosen(runtime: str, target: TargetProfile) -> RuntimeNeed:
    if runtime:
        return need_of(runtime)
    known = {need.package for need in RUNTIMES.values()}
    best = next((fact.package for fact in target.runtimes if fact.package in known), None)
    if best is None:
        raise UsageError(
            f"{target.name} says of no runtime that it runs there.", hint=f"Name one: --runtime {' | '.join(RUNTIMES)}"
        )
    return need_of(best)


def _known_version(need: RuntimeNeed, target: TargetProfile) -> str:
    return next((fact.version for fact in target.runtimes if fact.package == need.package), "")


def _requirements(need: RuntimeNeed, version: str) -> list[str]:
    """What pip is asked for; a version that is none would name another distribution (`litert` and `-tools`)."""
    wanted = version.strip()
    try:
        specifier = SpecifierSet(f"=={wanted}" if wanted[:1].isdigit() else wanted)
    except InvalidSpecifier:
        raise UsageError(
            f"{version!r} is no version.", hint="Write one such as 2.14.0, or a specifier such as '>=2.13,<3'."
        ) from None
    return [f"{need.package}{specifier}", *need.beside]


class _Installation:
    """One runtime on its way to one device."""

    def __init__(self, link: Link, need: RuntimeNeed, wheels: Sequence[Path], progress: Progress) -> None:
        self.link = link
        self.need = need
        self.progress = progress
        self.wheels = wheels
        self.folder = link.home() / "runtimes" / need.name
        self.hashes = {wheel.name: wheel_hash(wheel) for wheel in wheels}
        self.key = hashlib.sha256(json.dumps(self.hashes, sort_keys=True).encode()).hexdigest()[:16]

    def go(self, facts: DeviceFacts, python: PythonFacts) -> Provisioned:
        """Until it works there, or cannot; what was there before stays until then."""
        sent = 0
        if not self._is_current():
            self._check_space(facts)
            try:
                sent = self._send()
                self._unpack()
                self._import(self.folder / self.key)
                self._shell(_SWITCH, str(self.folder), self.key)
            except BaseException:
                self._clear()
                raise
        versions = dict(wheel.name.split("-")[:2] for wheel in self.wheels)
        return Provisioned(
            runtime=self.need.name,
            packages={name.replace("_", "-"): version for name, version in versions.items()},
            folder=self.folder / "current",
            sent_bytes=sent,
            python=python.version,
        )

    def _is_current(self) -> bool:
        done = self.link.run(["sh", "-c", _IN_USE, "sh", str(self.folder)], timeout_s=_CALL_S)
        return done.stdout.decode(errors="replace").strip() == self.key

    def _check_space(self, facts: DeviceFacts) -> None:
        needed = sum(wheel.stat().st_size + _unpacked_bytes(wheel) for wheel in self.wheels) + _SPARE_BYTES
        if facts.disk_free_bytes and needed > facts.disk_free_bytes:
            raise DeviceError(
                f"{self.need.name} needs {needed / 1e6:.0f} MB on the device; {facts.disk_free_bytes / 1e6:.0f} MB are "
                "free: No space left.",
                hint="Free some space there, or give edgekit another folder: ?home=/media/disk/edgekit at the end of "
                "the device's URL.",
            )

    def _send(self) -> int:
        incoming = self.folder / "incoming"
        self._shell(_PREPARE, str(self.folder))
        for wheel in self.wheels:
            self.link.push(wheel, incoming / wheel.name, self.progress)
        with tempfile.TemporaryDirectory() as folder:
            hashes = Path(folder) / "hashes.json"
            hashes.write_text(json.dumps(self.hashes))
            self.link.push(hashes, incoming / hashes.name, self.progress)
        return sum(wheel.stat().st_size for wheel in self.wheels)

    def _unpack(self) -> None:
        program = Path(on_device_install.__file__).read_bytes()
        with self.progress.step("unpack on the device"):
            argv = [self.link.python(), "-", str(self.folder), self.key]
            done = self.link.run(argv, stdin=program, timeout_s=_UNPACK_S)
        try:
            answer = msgspec.json.decode(done.stdout, type=_Answer)
        except msgspec.DecodeError:
            raise refusal("The device could not unpack the wheels", done.stderr) from None
        if not answer.done:
            raise refusal("The device could not unpack the wheels", answer.why.encode())

    def _import(self, folder: PurePosixPath) -> None:
        program = f"import sys; sys.path.insert(0, {str(folder)!r}); {self.need.statement}"
        with self.progress.step(f"import {self.need.name} on the device"):
            done = self.link.run([self.link.python(), "-c", program], timeout_s=_IMPORT_S)
        if done.returncode == 0:
            return
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with {done.returncode}"]
        illegal = done.returncode in {_ILLEGAL, -4}
        hint = "It was built for a newer processor: take an older --version." if illegal else _hint(said[-1])
        raise DeviceError(f"{self.need.name} does not work on the device: {said[-1]}", hint=hint)

    def _shell(self, script: str, *arguments: str) -> None:
        done = self.link.run(["sh", "-c", script, "sh", *arguments], timeout_s=_CALL_S)
        if done.returncode:
            raise refusal(f"The device could not install {self.need.name}", done.stderr)

    def _clear(self) -> None:
        """Remove what has not become current, if the device can still be reached."""
        try:
            self._shell(_CLEAR, str(self.folder), self.key)
        except DeviceError:
            return


def _unpacked_bytes(wheel: Path) -> int:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise DeviceError(
            f"{shlex.quote(str(wheel))} in the cache is damaged: {error}.", hint="Download it again: --upgrade"
        ) from None


def _hint(said: str) -> str:
    return next((hint for known, hint in _HINTS.items() if known in said), "Try another --version.")


PROVISIONER: Provisioner = _Provisioner()
"""Found by `edgekit.catalog`."""
