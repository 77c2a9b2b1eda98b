"""Create, start, stop and remove virtual devices."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edgekit import catalog
from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError, UsageError
from edgekit.protocols import Progress
from edgekit.run import Clock
from edgekit.target import TargetProfile
from edgekit_bridge.virtual import record
from edgekit_bridge.virtual.board import prepare_board, start_board, tell_board, write_into_board
from edgekit_bridge.virtual.images import board_image, phone_image, root_image
from edgekit_bridge.virtual.needs import check_needs
from edgekit_bridge.virtual.phone import adb_url, forget_phone, prepare_phone, start_phone
from edgekit_bridge.virtual.record import Kind, VirtualDevice
from edgekit_bridge.virtual.userland import prepare_userland, start_userland

START_S: Final = 120.0
"""How long a device may take until it answers: 3 s, where nothing else runs."""

_TRY_S: Final = 20.0
_STOP_S: Final = 10.0
_TOLD_LINES: Final = 3

_SERVER: Final = """\
HostKey /etc/ssh/edgekit_host_key
{listen}
PidFile none
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
MaxSessions 100
SetEnv EDGEKIT_EMULATED=1{environment}
"""

_CLIENT: Final = """\
Host *
    User root
    IdentityFile "{folder}/user_key"
    IdentitiesOnly yes
    UserKnownHostsFile "{folder}/known_hosts"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""


def create(name: str, target: str, kind: Kind, progress: Progress) -> VirtualDevice:
    """Make a device that looks like a target.

    Args:
        name: What to call it.
        target: The profile's name; of arm64 Linux or Android.
        kind: `userland` or `board`.
        progress: Told when an image is built, which takes a minute the first time.

    Raises:
        UsageError: The name, the target, or this machine does not do.
        DeviceError: The image could not be built.
    """
    record.check_new_name(name)
    profile = _profile(target)
    android = _is_phone(profile)
    if android and kind == "board":
        raise UsageError("There is no whole phone, only a userland.", hint="Leave --kind out.")
    check_needs(kind, android=android)
    image = _image(kind, profile, progress)
    device = VirtualDevice(name=name, target=target, kind=kind, port=_free_port())
    device.folder.mkdir(parents=True)
    try:
        if android:
            prepare_phone(device, profile)
        else:
            _prepare_linux(device, profile, image)
        record.save(device)
    except BaseException:
        record.forget(device)
        raise
    return device


def _profile(target: str) -> TargetProfile:
    profile = catalog.targets().load(target)
    if profile.arch != "aarch64" or profile.system not in {"linux", "android"}:
        raise UsageError(
            f"{target} is {profile.arch} {profile.system}; virtual devices are aarch64 linux or android.",
            hint="For example --target raspberrypi4.",
        )
    return profile


def _is_phone(profile: TargetProfile) -> bool:
    return profile.system == "android"


def _image(kind: Kind, profile: TargetProfile, progress: Progress) -> Path:
    if _is_phone(profile):
        return phone_image(progress)
    return root_image(progress) if kind == "userland" else board_image(progress)


def _prepare_linux(device: VirtualDevice, profile: TargetProfile, image: Path) -> None:
    _make_keys(device)
    files = prepare_userland(device, profile) if device.kind == "userland" else device.folder / "files"
    _write_access(device, files, profile)
    if device.kind == "board":
        prepare_board(device, image)
        write_into_board(device, files)


def start(name: str, progress: Progress, *, clock: Clock = "wall") -> VirtualDevice:
    """Start a device, and wait until it answers.

    Args:
        name: The device's name.
        progress: Told what is waited for.
        clock: `instructions` for a board whose clock counts them.

    Raises:
        UsageError: There is none, it runs by another clock, or a userland is to count instructions.
        DeviceError: It did not come up.
    """
    device = record.load(name)
    if clock == "instructions" and device.kind != "board":
        raise UsageError(
            f"{name} is a userland; only a board counts instructions.",
            hint=f"edgekit virtual create {name}-board --target {device.target} --kind board",
        )
    runs = record.running(device)
    if runs and runs.clock == clock:
        return device
    if runs:
        raise UsageError(f"{name} runs by the clock {runs.clock}.", hint=f"Stop it first: edgekit virtual stop {name}")
    profile = _profile(device.target)
    check_needs(device.kind, android=_is_phone(profile))
    with progress.step(f"start {name}"):
        image = _image(device.kind, profile, progress)
        if _is_phone(profile):
            pid = start_phone(device, profile, image)
        elif device.kind == "userland":
            pid = start_userland(device, profile, image)
        else:
            pid = start_board(device, profile, image, clock)
        record.mark_running(device, pid, clock)
        try:
            _wait(device)
        except BaseException:
            stop(name)
            raise
    return device


def stop(name: str) -> VirtualDevice:
    """Stop a device; one that does not run is left alone.

    Raises:
        UsageError: There is none.
        DeviceError: Its process does not end.
    """
    device = record.load(name)
    runs = record.running(device)
    if runs:
        if device.kind == "board":
            tell_board(device, "quit")
        with suppress(ProcessLookupError):
            os.kill(runs.pid, signal.SIGTERM if device.kind == "board" else signal.SIGKILL)
        deadline = time.monotonic() + _STOP_S
        while _lives(device) and time.monotonic() < deadline:
            _reap(runs.pid)
            time.sleep(0.02)
        if _lives(device):
            raise DeviceError(f"The process {runs.pid} of {name} does not end.", hint=f"kill -9 {runs.pid}")
        if not device.ssh_config.exists():
            forget_phone(device)
    record.mark_stopped(device)
    return device


def remove(name: str) -> None:
    """Stop a device and remove everything that is its own; images stay in the cache.

    Raises:
        UsageError: There is none.
    """
    record.forget(stop(name))


def every() -> Sequence[VirtualDevice]:
    """Every device, by name."""
    return list(record.every())


def url_of(device: VirtualDevice) -> DeviceUrl:
    """How it is reached."""
    if not device.ssh_config.exists():
        return adb_url(device)
    options = {"config": str(device.ssh_config)}
    return DeviceUrl(scheme="ssh", user="root", host="127.0.0.1", port=device.port, options=options)


def _make_keys(device: VirtualDevice) -> None:
    for key in ("host_key", "user_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"edgekit {device.name}", "-f"]
        subprocess.run([*words, device.folder / key], check=True, capture_output=True)
    kind, key, *_ = (device.folder / "host_key.pub").read_text().split()
    (device.folder / "known_hosts").write_text(f"[127.0.0.1]:{device.port} {kind} {key}\n")
    device.ssh_config.write_text(_CLIENT.format(folder=device.folder))


def _write_access(device: VirtualDevice, files: Path, profile: TargetProfile) -> None:
    """The server's configuration and keys, as they stand in the device."""
    from edgekit_bridge.virtual.likeness import qemu_cpu

    userland = device.kind == "userland"
    texts = {
        "etc/ssh/edgekit_sshd_config": _SERVER.format(
            listen=f"ListenAddress 127.0.0.1\nPort {device.port}" if userland else "Port 22",
            environment=f" QEMU_CPU={qemu_cpu(profile)}" if userland else "",
        ),
        "etc/ssh/edgekit_host_key": (device.folder / "host_key").read_text(),
        "root/.ssh/authorized_keys": (device.folder / "user_key.pub").read_text(),
        "etc/hostname": f"{device.name}\n",
    }
    for name, text in texts.items():
        place = files / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o600)


def _free_port() -> int:
    """A port that nothing listens on now, and none of our devices has."""
    taken = {device.port for device in record.every()}
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def _wait(device: VirtualDevice) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and record.running(device):
        try:
            url = url_of(device)
            with catalog.transport(url.scheme).open(url, timeout_s=_TRY_S):
                return
        except DeviceError as error:
            if not error.transient:
                raise
            time.sleep(0.2)
    lines = device.log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
    gone = "ended by itself" if not record.running(device) else f"did not answer within {START_S:g} s"
    raise DeviceError(f"{device.name} {gone}: {' | '.join(lines[-_TOLD_LINES:])}", log=device.log)


def _lives(device: VirtualDevice) -> bool:
    """Whether its process is there, or still somebody who listens: a namespace takes a moment to die."""
    if record.running(device):
        return True
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", device.port)) == 0


def _reap(pid: int) -> None:
    """When it is a child of ours, take note that it ended."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
