"""Virtual devices as they are written down: a folder each below edgekit's data folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from edgekit.errors import UsageError
from edgekit.inventory import check_name
from edgekit.paths import data_folder
from edgekit.publish import whole_file
from edgekit.run import Clock
from edgekit.suggest import did_you_mean

Kind: TypeAlias = Literal["userland", "board"]

_RECORD: Final = "record.json"
_RUNNING: Final = "running.json"


class VirtualDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual device.

    Attributes:
        name: What it is called; `virtual:NAME` is its URL.
        target: The profile that it looks like.
        kind: `userland`: programs of another architecture on this kernel. `board`: a machine with a kernel of its own.
        port: Where its SSH server listens, on loopback.
    """

    name: str
    target: str
    kind: Kind
    port: int

    @property
    def folder(self) -> Path:
        """Everything that is its own."""
        return _place(self.name)

    @property
    def ssh_config(self) -> Path:
        """The client's configuration that reaches it."""
        return self.folder / "ssh_config"

    @property
    def log(self) -> Path:
        """What it wrote since it was started."""
        return self.folder / "log"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A start of a virtual device: the process that it lives in, and the clock that it goes by."""

    pid: int
    started: str
    clock: Clock = "wall"


def _home() -> Path:
    return (data_folder() / "virtual").absolute()


def _place(name: str) -> Path:
    return _home() / name


def check_new_name(name: str) -> None:
    """Refuse a name that is no name, or taken.

    Raises:
        UsageError: It is one of both.
    """
    check_name(name)
    if _place(name).exists():
        raise UsageError(
            f"There is a virtual device {name!r} already.", hint=f"Start it, or: edgekit virtual remove {name}"
        )


def save(device: VirtualDevice) -> None:
    """Write a device down; its folder is there."""
    with whole_file(device.folder / _RECORD) as file:
        file.write_bytes(msgspec.json.encode(device))


def load(name: str) -> VirtualDevice:
    """The device of this name.

    Raises:
        UsageError: There is none, or its record is damaged.
    """
    file = _place(name) / _RECORD
    if Path(name).name != name or not file.is_file():
        known = [device.name for device in every()]
        hint = did_you_mean(name, known, "virtual devices") if known else f"edgekit virtual create {name} --target …"
        raise UsageError(f"There is no virtual device {name!r}.", hint=hint)
    try:
        return msgspec.json.decode(file.read_bytes(), type=VirtualDevice)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", hint=f"edgekit virtual remove {name}") from None


def every() -> Iterator[VirtualDevice]:
    """Every device, by name."""
    for file in sorted(_home().glob(f"*/{_RECORD}")):
        with suppress(UsageError):
            yield load(file.parent.name)


def forget(device: VirtualDevice) -> None:
    """Remove everything that is its own."""
    shutil.rmtree(device.folder, ignore_errors=True)


def mark_running(device: VirtualDevice, pid: int, clock: Clock) -> None:
    """Note the process that it lives in."""
    with whole_file(device.folder / _RUNNING) as file:
        file.write_bytes(msgspec.json.encode(Running(pid=pid, started=_start_time(pid), clock=clock)))


def running(device: VirtualDevice) -> Running | None:
    """How it runs; None when it does not, be it that its process is gone, or its number another's by now."""
    try:
        found = msgspec.json.decode((device.folder / _RUNNING).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.started and found.started == _start_time(found.pid) else None


def mark_stopped(device: VirtualDevice) -> None:
    """It lives no more."""
    (device.folder / _RUNNING).unlink(missing_ok=True)


def _start_time(pid: int) -> str:
    """When a process began, in ticks since boot (proc(5), stat, field 22); empty for none, or one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def is_root() -> bool:
    """Whether we may write user maps and own files as we like."""
    return os.geteuid() == 0
