"""What virtual devices start from, built once from Debian's packages: a root file system; a board's kernel and disk.

Debian 12 for arm64 is unpacked and none of it is run (mmdebstrap, variant `extract`), so that neither root nor QEMU is
needed for it. What packages would have configured, and we need, is written here.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.paths import cache_folder
from edgekit.protocols import Progress
from edgekit_bridge.virtual.needs import find_program
from edgekit_bridge.virtual.record import is_root

_SUITES: Final = {"root": "bookworm", "board": "bookworm", "phone": "trixie"}
"""Debian's release by image; trixie is the first with an adbd of today (34.0)."""

_VERSION: Final = "2"
"""Raised when an image is made otherwise than before."""

_PACKAGES: Final = (
    "base-files", "base-passwd", "bash", "busybox-static", "coreutils", "dash", "grep", "gzip", "libc-bin",
    "libexpat1", "libgomp1", "libpython3.11-stdlib", "libstdc++6", "login", "openssh-client", "openssh-server",
    "openssh-sftp-server", "openssl", "passwd", "procps", "python3-minimal", "sed", "tar", "util-linux", "zlib1g",
)  # fmt: skip
"""An SSH server, Python, and what runtimes link to (libstdc++6, libgomp1)."""

_PHONE_PACKAGES: Final = (
    "adbd", "base-files", "base-passwd", "busybox-static", "coreutils", "dash", "libc-bin", "libexpat1",
    "libpython3.13-stdlib", "libstdc++6", "python3-minimal", "util-linux", "zlib1g",
)  # fmt: skip
"""The real adbd; tools as small as a phone's; and a Python, which no phone has, off the path."""

_KERNEL: Final = "linux-image-cloud-arm64"
"""Debian's kernel for virtual machines: 21 MB, and every driver that a board of ours has."""

_WITHOUT: Final = ("doc", "man", "locale", "info")

_DISK_BYTES: Final = 4 << 30

_BUILD_S: Final = 1800.0
_TOLD_LINES: Final = 3

_DRIVERS: Final = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio-rng", "ext4", "crc32c_generic",
)  # fmt: skip
"""What a board needs before it has a disk and a network; their dependencies come along."""

_INIT: Final = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /disk
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
for driver in $(/bin/busybox cat /drivers); do /bin/busybox insmod "/$driver"; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /disk
for place in proc sys dev; do /bin/busybox mount --move /$place /disk/$place; done
exec /bin/busybox switch_root /disk /sbin/edgekit-init
"""

_BOARD_INIT: Final = """#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
busybox mkdir -p /dev/pts /run
busybox mount -t devpts devpts /dev/pts
busybox mount -t tmpfs tmpfs /run
busybox mkdir -p /run/sshd
busybox ip link set lo up
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ip link set eth0 up
busybox ip route add default via 10.0.2.2
/usr/sbin/sshd -e -D -f /etc/ssh/edgekit_sshd_config
busybox sync
busybox poweroff -f
"""
"""The addresses are those of QEMU's user network (QEMU, System Emulation, Network emulation)."""


def root_image(progress: Progress) -> Path:
    """The folder that userlands see as their root.

    Raises:
        DeviceError: It could not be built.
    """
    return _built("root", _build_system, "build the arm64 userland", progress)


def board_image(progress: Progress) -> Path:
    """A folder with a board's `kernel`, `initrd` and `disk`.

    Raises:
        DeviceError: It could not be built.
    """
    return _built("board", _build_board, "build the arm64 board", progress)


def phone_image(progress: Progress) -> Path:
    """The folder that emulated phones see as their root.

    Raises:
        DeviceError: It could not be built.
    """
    return _built("phone", _build_phone, "build the phone's userland", progress)


def _built(name: str, build: Callable[[Path], None], title: str, progress: Progress) -> Path:
    """An image in the cache, built first where it is not there: whole or not at all, by one process at a time."""
    home = cache_folder().absolute() / "virtual"
    home.mkdir(parents=True, exist_ok=True)
    place = home / f"{name}-{_SUITES[name]}-{_VERSION}"
    if place.is_dir():
        return place
    with _locked(home / f"{name}.lock"), progress.step(title):
        if not place.is_dir():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=home) as folder:
                made = Path(folder) / "image"
                made.mkdir()
                build(made)
                made.rename(place)
    return place


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_system(folder: Path, *more: str) -> None:
    _build_root(folder, (*_PACKAGES, *more), _SUITES["root"])
    root = folder / "root"
    with (root / "etc/passwd").open("a") as accounts:
        accounts.write("sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n")
    (root / "run/sshd").mkdir(mode=0o755)


def _build_phone(folder: Path) -> None:
    _build_root(folder, _PHONE_PACKAGES, _SUITES["phone"])


def _build_root(folder: Path, packages: tuple[str, ...], suite: str) -> None:
    root = folder / "root"
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _WITHOUT]
    mode = [] if is_root() else ["--mode=fakechroot"]
    argv = ["mmdebstrap", "--variant=extract", "--architectures=arm64", "--skip=check/qemu", *mode, *excluded]
    _run([*argv, f"--include={','.join(packages)}", suite, str(root)])
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / f"etc/{name}")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for name, to in {"bin/sh": "dash", "lib64": "lib"}.items():
        if not (root / name).is_symlink():
            (root / name).symlink_to(to)
    (folder / "root").chmod(0o755)


def _build_board(folder: Path) -> None:
    _build_system(folder, _KERNEL)
    root = folder / "root"
    kernel = next((root / "boot").glob("vmlinuz-*"))
    shutil.copyfile(kernel, folder / "kernel")
    _write_program(root / "sbin/edgekit-init", _BOARD_INIT)
    _build_initrd(root, folder)
    for name in ("boot", "lib/modules"):
        shutil.rmtree(root / name)
        (root / name).mkdir()
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(_DISK_BYTES)
    _run([find_program("mke2fs") or "mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk)])
    shutil.rmtree(root)


def _build_initrd(root: Path, folder: Path) -> None:
    """Busybox, the drivers in the order in which they can be loaded, and a first program."""
    home = folder / "initrd-files"
    (home / "bin").mkdir(parents=True)
    shutil.copyfile(root / "bin/busybox", home / "bin/busybox")
    (home / "bin/busybox").chmod(0o755)
    drivers = _in_order(root / "lib/modules")
    for driver in drivers:
        shutil.copyfile(driver, home / driver.name)
    (home / "drivers").write_text(" ".join(driver.name for driver in drivers))
    _write_program(home / "init", _INIT)
    names = "\n".join(str(path.relative_to(home)) for path in sorted(home.rglob("*")))
    packed = _run([find_program("cpio") or "cpio", "-o", "-H", "newc", "--quiet"], stdin=names.encode(), folder=home)
    (folder / "initrd").write_bytes(packed)
    shutil.rmtree(home)


def _in_order(modules: Path) -> list[Path]:
    """The drivers' files, each after those that it depends on, which it says itself (modinfo(8), `depends`)."""
    files = {file.stem.replace("-", "_"): file for file in modules.rglob("*.ko")}
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in ordered or name not in files:
            return
        said = files[name].read_bytes().partition(b"\0depends=")[2].partition(b"\0")[0]
        for needed in filter(None, said.decode("ascii", "replace").split(",")):
            add(needed)
        ordered[name] = files[name]

    for driver in _DRIVERS:
        add(driver)
    return list(ordered.values())


def _write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def _run(argv: list[str], *, stdin: bytes = b"", folder: Path | None = None) -> bytes:
    """Run a tool of this machine.

    Raises:
        DeviceError: It failed; with what it wrote last.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, check=True, timeout=_BUILD_S, cwd=folder, env=environment
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{argv[0]} did not end within {_BUILD_S:g} s.", hint="Try again.") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise DeviceError(
            f"{Path(argv[0]).name} failed: {' | '.join(lines[-_TOLD_LINES:])}",
            hint="It takes packages from this machine's sources of Debian 12: see that `apt update` works.",
        ) from None
    return done.stdout
