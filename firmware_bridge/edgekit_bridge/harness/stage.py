"""Put an artifact and the harness on a device: by content, each file verified there, none sent twice."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from edgekit.artifact import MANIFEST, Artifact, file_entry
from edgekit.errors import DeviceError
from edgekit.protocols import Deployment, Link, Progress
from edgekit_bridge.harness import hash_files, on_device

_HASH_S: Final = 300.0
"""The longest that hashing an artifact on a device may take: 1 GB from a slow SD card (10 MB/s) takes 100 s."""


class StagedFile(msgspec.Struct, frozen=True):
    """A file of ours, where it goes, and the hash that it must have there."""

    local: Path
    remote: PurePosixPath
    sha256: str


def stage_artifact(link: Link, artifact: Artifact, progress: Progress) -> Deployment:
    """Send what the device lacks; the artifact's folder there is named by its id, the harness's by its hash.

    Raises:
        DeviceError: The device refused a file, or has other bytes than were sent.
    """
    program = Path(on_device.__file__)
    entry = file_entry(program)
    harness = StagedFile(program, link.home() / "harness" / entry.sha256 / entry.name, entry.sha256)
    folder = link.home() / "artifacts" / artifact.id
    files = [harness, *_artifact_files(artifact, folder)]
    with progress.step("look what the device has"):
        missing = _differing(link, files)
    for file in missing:
        link.push(file.local, file.remote, progress)
    if missing:
        with progress.step("verify on the device"):
            damaged = _differing(link, missing)
        if damaged:
            raise DeviceError(
                f"{damaged[0].remote} is damaged on the device: its SHA-256 is not what was sent.",
                hint="Try again; when it stays so, look at the device's storage and memory.",
                transient=True,
            )
    return Deployment(artifact=artifact, folder=folder, harness=harness.remote)


def _artifact_files(artifact: Artifact, folder: PurePosixPath) -> Sequence[StagedFile]:
    entries = [*artifact.manifest.files, file_entry(artifact.path / MANIFEST)]
    return [StagedFile(artifact.path / entry.name, folder / entry.name, entry.sha256) for entry in entries]


def _differing(link: Link, files: Sequence[StagedFile]) -> Sequence[StagedFile]:
    """Those that the device lacks, or has with other bytes."""
    script = Path(hash_files.__file__).read_bytes()
    done = link.run([link.python(), "-", *(str(file.remote) for file in files)], stdin=script, timeout_s=_HASH_S)
    try:
        there = msgspec.json.decode(done.stdout, type=dict[str, str | None])
    except msgspec.DecodeError:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no word of why"]
        raise DeviceError(
            f"{link.python()} on the device did not hash the files: exit {done.returncode}, {words[-1]}",
            hint="The harness needs Python 3.6 or newer there.",
        ) from None
    return [file for file in files if there.get(str(file.remote)) != file.sha256]
