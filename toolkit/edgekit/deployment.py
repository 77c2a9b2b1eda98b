"""`edgekit.push`, `edgekit.rollback`, `edgekit.artifacts`: versions of artifacts on devices."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgekit import catalog
from edgekit.artifact import Artifact, load_artifact
from edgekit.errors import UsageError
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress, Version
from edgekit.reach import Opened, harness_on, open_alone, open_device

KEEP: Final = 3
"""Versions of an artifact that stay on a device: the current one, and two to go back to."""


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that is current on a device.

    Attributes:
        device: The device's URL.
        artifact: Its name.
        id: Its id.
        folder: Where it is there.
        bytes: What it weighs.
        sent_bytes: How many of them had to travel, compressed where that helped.
        checked: Whether its golden vectors were run there before the switch.
    """

    device: str
    artifact: str
    id: str
    folder: str
    bytes: int
    sent_bytes: int
    checked: bool


def push(
    artifact: Artifact | Path | str,
    *,
    device: str,
    target: str = "",
    check: bool = False,
    keep: int = KEEP,
    progress: Progress | None = None,
) -> Pushed:
    """Put an artifact on a device as an update, and switch to it.

    Only what the device lacks travels; what arrived is verified there by SHA-256; the switch is one rename. Whatever
    fails, the version before stays current.

    Args:
        artifact: The artifact, or its folder.
        device: The device's URL, or its name.
        target: The profile of the device; what the inventory says when empty, else `host`.
        check: Whether to load it and run its golden vectors there before the switch.
        keep: How many versions stay there.
        progress: Told of each step.

    Raises:
        UsageError: The artifact, the device's name or `keep` is wrong.
        DeviceError: The device cannot be reached, or refused it.
        CheckFailed: Its golden vectors differ there; the version before stays current.
    """
    return push_all([artifact], device=device, target=target, check=check, keep=keep, progress=progress)[0]


def push_all(
    artifacts: Sequence[Artifact | Path | str],
    *,
    device: str,
    target: str = "",
    check: bool = False,
    keep: int = KEEP,
    progress: Progress | None = None,
) -> list[Pushed]:
    """As `push`, of several artifacts over one connection; the first that fails ends it."""
    if keep < 1:
        raise UsageError(f"keep is {keep}; at least the current version stays.")
    loaded = [item if isinstance(item, Artifact) else load_artifact(item) for item in artifacts]
    shown = progress or SilentProgress()
    for item in loaded:
        catalog.deployer().prepare(item)
    names = ", ".join(item.manifest.name for item in loaded)
    with open_alone(device, target, f"push {names}", shown) as opened:
        return [_push(opened, item, check=check, keep=keep, progress=shown) for item in loaded]


def _push(opened: Opened, artifact: Artifact, *, check: bool, keep: int, progress: Progress) -> Pushed:
    deployer, name = catalog.deployer(), artifact.manifest.name
    delivered = deployer.deliver(opened.link, artifact, progress, keep=None if check else keep)
    if check:
        try:
            _check(opened, artifact, progress)
        except BaseException:
            if delivered.new:
                deployer.remove(opened.link, name, artifact.id)
            raise
        deployer.switch(opened.link, name, artifact.id, keep=keep)
    return Pushed(
        device=str(opened.url),
        artifact=name,
        id=artifact.id,
        folder=str(delivered.folder),
        bytes=sum(entry.bytes for entry in artifact.entries()),
        sent_bytes=delivered.sent_bytes,
        checked=check,
    )


def _check(opened: Opened, artifact: Artifact, progress: Progress) -> None:
    harness = harness_on(opened.link, "", artifact.manifest.format)
    deployment = harness.stage(opened.link, artifact, progress)
    harness.check(opened.link, deployment, opened.profile, progress, device=opened.url)


def rollback(name: str, *, device: str) -> Version:
    """Switch an artifact on a device back to the version that was current before.

    Args:
        name: The artifact's name.
        device: The device's URL, or its name.

    Raises:
        UsageError: There is no such artifact, or no version before.
        DeviceError: The device cannot be reached.
    """
    with open_alone(device, "", f"roll {name} back", SilentProgress()) as opened:
        return catalog.deployer().rollback(opened.link, name)


def artifacts(device: str) -> Mapping[str, Sequence[Version]]:
    """The versions of each artifact on a device, newest first.

    Raises:
        DeviceError: The device cannot be reached.
    """
    with open_device(device, "") as opened:
        return catalog.deployer().artifacts(opened.link)
