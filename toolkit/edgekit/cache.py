"""Artifacts made before, by everything that decides their content. The same request again imports no framework."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgekit.artifact import Artifact, load_artifact
from edgekit.errors import UsageError
from edgekit.fingerprint import hash_path
from edgekit.paths import cache_folder

_ARTIFACT: Final = "artifact"
_DEPENDS: Final = "depends.json"


def recall(key: str) -> Artifact | None:
    """The artifact made for this request, or None: never made, damaged, or a Python file it came from changed."""
    folder = cache_folder() / "artifacts" / key
    try:
        depends = msgspec.json.decode((folder / _DEPENDS).read_bytes(), type=dict[str, str])
        if any(hash_path(file) != digest for file, digest in depends.items()):
            return None
        return load_artifact(folder / _ARTIFACT)
    except (OSError, UsageError, msgspec.DecodeError):
        return None


def remember(key: str, artifact: Artifact, depends: Sequence[str]) -> None:
    """Keep a copy of an artifact; a disk too full for it is no failure."""
    place = cache_folder() / "artifacts" / key
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
    except OSError:
        return
    try:
        shutil.copytree(artifact.path, draft / _ARTIFACT)
        (draft / _DEPENDS).write_bytes(msgspec.json.encode({file: hash_path(file) for file in depends}))
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
    except (OSError, UsageError):
        shutil.rmtree(draft, ignore_errors=True)
