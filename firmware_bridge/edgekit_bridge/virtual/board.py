"""A whole board: QEMU's `virt` machine with Debian's kernel, a disk of its own, and an SSH server.

With the clock `instructions` the machine's clock goes on by one nanosecond for each instruction that it executes
(QEMU, docs/devel/tcg-icount.rst), whatever the host is doing: what a program takes by that clock is a count of
instructions, the same again at every run.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from edgekit.run import Clock
from edgekit.target import TargetProfile
from edgekit_bridge.virtual.likeness import qemu_cpu
from edgekit_bridge.virtual.needs import find_program
from edgekit_bridge.virtual.record import VirtualDevice
from edgekit_bridge.virtual.spawn import spawn

_MEMORY: Final = "1024"
"""MiB: torch alone takes 400."""

_CORES: Final = 2

CLOCK_WORD: Final = "edgekit.clock=instructions"
"""By which the harness knows a board that counts instructions."""

_MONITOR: Final = "qmp"
"""The socket of the machine's monitor (QEMU, docs/interop/qmp-spec.rst), in the device's folder."""

_MONITOR_S: Final = 5.0


def prepare_board(device: VirtualDevice, image: Path) -> None:
    """Give the device a disk of its own."""
    subprocess.run(
        ["cp", "--reflink=auto", "--sparse=always", str(image / "disk"), str(device.folder / "disk")], check=True
    )


def write_into_board(device: VirtualDevice, files: Path) -> None:
    """Put a folder's files onto the disk (debugfs(8)): the machine is not running yet."""
    commands = [line for path in sorted(files.rglob("*")) for line in _debugfs_lines(path, files)]
    subprocess.run(
        [find_program("debugfs") or "debugfs", "-w", "-f", "-", device.folder / "disk"],
        input="\n".join(commands).encode(),
        capture_output=True,
        check=True,
    )


def _debugfs_lines(path: Path, files: Path) -> list[str]:
    place = f"/{path.relative_to(files)}"
    if path.is_dir():
        return [f"mkdir {place}"]
    mode = 0o100000 | path.stat().st_mode & 0o777
    return [f"write {path} {place}", f"sif {place} mode 0{mode:o}", f"sif {place} uid 0", f"sif {place} gid 0"]


def start_board(device: VirtualDevice, profile: TargetProfile, image: Path, clock: Clock) -> int:
    """Start it; gives the process that it lives in."""
    counted = clock == "instructions"
    words = ["console=ttyAMA0", "quiet", "panic=-1", "mitigations=off", "net.ifnames=0"]
    words += [CLOCK_WORD, "norandmaps", "nokaslr"] if counted else []
    argv = [
        "qemu-system-aarch64", "-M", "virt", "-cpu", qemu_cpu(profile), "-m", _MEMORY, "-nographic", "-no-reboot",
        "-smp", "1" if counted else str(_CORES), *(["-icount", "shift=0"] if counted else []),
        "-kernel", str(image / "kernel"), "-initrd", str(image / "initrd"), "-append", " ".join(words),
        "-drive", f"if=none,id=disk,file={device.folder / 'disk'},format=raw",
        "-device", "virtio-blk-pci,drive=disk",
        "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{device.port}-:22",
        "-device", "virtio-net-pci,netdev=net,romfile=",
        "-device", "virtio-rng-pci",
        "-monitor", "none", "-serial", "stdio", "-qmp", f"unix:{_MONITOR},server=on,wait=off",
    ]  # fmt: skip
    return spawn(argv, device.log, stdin=subprocess.DEVNULL, folder=device.folder).pid


def tell_board(device: VirtualDevice, command: str, **arguments: object) -> None:
    """Send a command to the machine's monitor, such as `stop`, `cont` or `set_link`; gives up quietly without one."""
    with suppress(OSError), _opened(device.folder) as folder, socket.socket(socket.AF_UNIX) as line:
        line.settimeout(_MONITOR_S)
        line.connect(f"/proc/self/fd/{folder}/{_MONITOR}")  # a socket's path has 107 characters at most (unix(7))
        with line.makefile("rwb") as stream:
            stream.readline()
            for message in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(msgspec.json.encode(message) + b"\n")
                stream.flush()
                stream.readline()


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_PATH)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
