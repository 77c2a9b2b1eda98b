"""What virtual devices need on this machine, asked for before anything is made."""

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgekit.errors import UsageError
from edgekit_bridge.virtual.record import Kind, is_root

_PACKAGES: Final = {
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "qemu-aarch64-static": "qemu-user-static",
    "newuidmap": "uidmap",
    "qemu-system-aarch64": "qemu-system-arm",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "cpio": "cpio",
    "adb": "adb",
    "ip": "iproute2",
}
"""The Debian package that brings a program."""

_COMMON: Final = ("mmdebstrap",)
_LINUX: Final = ("ssh", "ssh-keygen")
_ANDROID: Final = ("adb", "ip")
_OF_KIND: Final = {
    "userland": ("unshare", "qemu-aarch64-static"),
    "board": ("qemu-system-aarch64", "mke2fs", "debugfs", "cpio"),
}

_OLDEST_KERNEL: Final = (6, 7)
"""The first Linux whose binfmt_misc belongs to a user namespace (commit 21ca59b365c0)."""


def find_program(name: str) -> str | None:
    """A program; those of the administrator too."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def check_needs(kind: Kind, *, android: bool = False) -> None:
    """Refuse what cannot work here.

    Args:
        kind: The kind of virtual device.
        android: Whether it is a phone.

    Raises:
        UsageError: Programs are missing, or the kernel is too old; names all of them, and what to install.
    """
    names = [*_COMMON, *(_ANDROID if android else _LINUX), *_OF_KIND[kind]]
    names += ["newuidmap"] if kind == "userland" and not is_root() else []
    missing = [name for name in names if find_program(name) is None]
    if missing:
        packages = " ".join(dict.fromkeys(_PACKAGES[name] for name in missing))
        raise UsageError(
            f"A virtual {kind} needs {_listed(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            hint=f"On Debian and Ubuntu: sudo apt install {packages}",
        )
    if kind == "userland":
        _check_kernel()


def _check_kernel() -> None:
    release = platform.release()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdecimal())
    if platform.system() != "Linux" or numbers < _OLDEST_KERNEL:
        raise UsageError(
            f"A virtual userland needs Linux 6.7 or newer, which keeps foreign programs to one namespace; this is "
            f"{platform.system()} {release}.",
            hint="Use a whole board: edgekit virtual create NAME --kind board",
        )
    if not Path("/proc/sys/fs/binfmt_misc").is_dir():
        raise UsageError("This kernel has no binfmt_misc.", hint="sudo modprobe binfmt_misc, or use --kind board.")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
