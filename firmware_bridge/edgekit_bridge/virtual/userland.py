"""A userland of another architecture: its programs run under QEMU, on this machine's kernel, with an SSH server.

A user namespace, a mount namespace and a process namespace of its own, and in them a binfmt_misc of its own that knows
how to start foreign programs: nothing is registered for the rest of the machine, and when the first process is gone,
so is all of it. The root is the image, with the device's own changes laid over it (overlayfs).
"""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.target import TargetProfile
from edgekit_bridge.virtual import relay as relay_module
from edgekit_bridge.virtual.likeness import qemu_cpu, write_likeness
from edgekit_bridge.virtual.needs import find_program
from edgekit_bridge.virtual.record import VirtualDevice, is_root
from edgekit_bridge.virtual.spawn import spawn

_IDS: Final = 65536
"""User and group ids that a userland has: all that an SSH server asks for."""

_NAMESPACE_S: Final = 10.0

_ELF_ARM64: Final = (
    r":edgekit:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
)
"""How an arm64 program begins (QEMU, scripts/qemu-binfmt-conf.sh)."""

_SETUP: Final = r"""
set -eu
read -r _
image=$1 device=$2 program=$3 core=$4 name=$5 relay=$6
shift 6
cd "$device"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$image,upperdir=$device/upper,workdir=$device/work,userxattr" root
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
echo "$program" >/proc/sys/fs/binfmt_misc/register
mount --rbind /dev root/dev
mount -t proc proc root/proc
mount --bind cpuinfo root/proc/cpuinfo
mount --bind sys root/sys
mount -t tmpfs tmpfs root/run
mkdir -p -m 755 root/run/sshd
hostname "$name"
if [ -n "$relay" ]; then
    ip link set lo up
    sh -c "$relay" </dev/null &
fi
exec setpriv --pdeathsig KILL chroot root /usr/bin/env -i QEMU_CPU="$core" "$@"
"""

_PATH: Final = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
_SSHD: Final = (_PATH, "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/edgekit_sshd_config")


def prepare_userland(device: VirtualDevice, profile: TargetProfile) -> Path:
    """Make the folders that a userland is put together from; gives the one that holds its own files."""
    for name in ("upper", "work", "root"):
        (device.folder / name).mkdir()
    write_likeness(profile, device.folder)
    return device.folder / "upper"


def start_userland(
    device: VirtualDevice,
    profile: TargetProfile,
    image: Path,
    *,
    server: Sequence[str] = _SSHD,
    listening: socket.socket | None = None,
) -> int:
    """Start it; gives the process that it lives in.

    Args:
        device: The device.
        profile: What it looks like.
        image: The image that it starts from.
        server: The first program there, with its environment before it.
        listening: For a server that would listen on every address of this machine: it gets a network of its own, where
            it listens on the same port, and what connects here is passed on to it.

    Raises:
        DeviceError: The kernel refused a namespace.
    """
    qemu = find_program("qemu-aarch64-static")
    namespaces = ["unshare", "--user", "--mount", "--pid", "--uts", "--fork"]
    relay, descriptors = "", list[int]()
    if listening:
        namespaces += ["--net"]
        descriptors = [listening.fileno()]
        relay = shlex.join([sys.executable, relay_module.__file__, str(descriptors[0]), str(device.port)])
    arguments = [str(image / "root"), str(device.folder), f"{_ELF_ARM64}:{qemu}:FP", qemu_cpu(profile), device.name]
    argv = [*namespaces, "sh", "-c", _SETUP, "sh", *arguments, relay, *server]
    process = spawn(argv, device.log, stdin=subprocess.PIPE, folder=device.folder, descriptors=descriptors)
    try:
        _wait_for_namespace(process)
        _map_ids(process.pid)
        assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        process.stdin.write(b"\n")
        process.stdin.close()
        return _first_process(process)
    except (OSError, subprocess.CalledProcessError) as error:
        process.kill()
        process.wait()
        raise DeviceError(
            f"The kernel refused a user namespace for {device.name}: {error}.",
            hint="See sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces, and /etc/subuid; or use "
            "--kind board.",
        ) from error


def _first_process(process: "subprocess.Popen[bytes]") -> int:
    """The process that a namespace lives and dies with: unshare's only child, once it is there (proc(5), children)."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + _NAMESPACE_S
    while not (found := children.read_text().split()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise OSError("its first process did not start")
        time.sleep(0.005)
    return int(found[0])


def _wait_for_namespace(process: "subprocess.Popen[bytes]") -> None:
    ours = Path("/proc/self/ns/user").readlink()
    deadline = time.monotonic() + _NAMESPACE_S
    while Path(f"/proc/{process.pid}/ns/user").readlink() == ours:
        if process.poll() is not None or time.monotonic() > deadline:
            raise OSError("it did not come into being")
        time.sleep(0.005)


def _map_ids(pid: int) -> None:
    """Root may give all ids; others what `/etc/subuid` gives them (newuidmap(1))."""
    if is_root():
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{kind}").write_text(f"0 0 {_IDS}")
        return
    for kind, own in (("uid", os.getuid()), ("gid", os.getgid())):
        first = _first_of(Path(f"/etc/sub{kind}"))
        words = [f"new{kind}map", str(pid), "0", str(own), "1", "1", str(first), str(_IDS - 1)]
        subprocess.run(words, check=True, capture_output=True)


def _first_of(file: Path) -> int:
    """The first id that the user may give away (subuid(5))."""
    names = {os.environ.get("USER", ""), str(os.getuid())}
    for line in file.read_text().splitlines():
        name, first, count = line.split(":")
        if name in names and int(count) >= _IDS - 1:
            return int(first)
    raise OSError(f"{file} gives the user no ids")
