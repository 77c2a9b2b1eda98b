"""Put an artifact and the harness on a device: by content, each file verified there, none sent twice."""

from pathlib import Path, PurePosixPath

from edgekit.artifact import Artifact, file_entry
from edgekit.errors import DeviceError
from edgekit.protocols import Deployment, Link, Progress
from edgekit_bridge.harness import on_device
from edgekit_bridge.update.deliver import deliver
from edgekit_bridge.update.device_side import DeviceSide


def stage_artifact(link: Link, artifact: Artifact, progress: Progress, *, runtime: str = "") -> Deployment:
    """Send what the device lacks; no version of the artifact is switched to.

    Raises:
        DeviceError: The device refused a file, or has other bytes than were sent.
    """
    delivered = deliver(link, artifact, progress)
    return Deployment(
        artifact=artifact,
        folder=delivered.folder,
        harness=stage_program(link, Path(on_device.__file__), "harness", progress),
        runtime=runtime,
        sent_bytes=delivered.sent_bytes,
    )


def stage_program(link: Link, program: Path, kind: str, progress: Progress) -> PurePosixPath:
    """Put a program on a device, verified there before every use; gives its place.

    Args:
        link: The way there.
        program: It, on this machine.
        kind: The folder in edgekit's own there; in it, the program's folder is named by its hash.
        progress: Told how far it is.

    Raises:
        DeviceError: The device refused it, or has other bytes than were sent.
    """
    entry = file_entry(program)
    place = link.home() / kind / entry.sha256 / entry.name
    there = DeviceSide(link=link, name=kind)
    if there.hashes(str(place)).get(str(place)) != entry.sha256:
        link.push(program, place, progress)
        if there.hashes(str(place)).get(str(place)) != entry.sha256:
            raise DeviceError(
                f"{place} is damaged on the device: its SHA-256 is not what was sent.",
                hint="Try again; when it stays so, look at the device's storage and memory.",
                transient=True,
            )
    return place
