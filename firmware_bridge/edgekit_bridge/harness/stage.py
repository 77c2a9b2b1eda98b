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
        harness=_stage_harness(link, progress),
        runtime=runtime,
        sent_bytes=delivered.sent_bytes,
    )


def _stage_harness(link: Link, progress: Progress) -> PurePosixPath:
    """The harness's folder on the device is named by its hash."""
    program = Path(on_device.__file__)
    entry = file_entry(program)
    place = link.home() / "harness" / entry.sha256 / entry.name
    there = DeviceSide(link=link, name="harness")
    if there.hashes(str(place)).get(str(place)) != entry.sha256:
        link.push(program, place, progress)
        if there.hashes(str(place)).get(str(place)) != entry.sha256:
            raise DeviceError(
                f"{place} is damaged on the device: its SHA-256 is not what was sent.",
                hint="Try again; when it stays so, look at the device's storage and memory.",
                transient=True,
            )
    return place
