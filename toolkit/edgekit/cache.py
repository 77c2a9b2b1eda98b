"""Artifacts made before, by everything that decides their content. The same request again imports no framework.

Whoever makes an artifact holds its key's lock (flock(2) on a file of the cache), so that of two processes that ask for
the same one makes it and the other takes it. The lock ends with its process, however that ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgekit.artifact import Artifact, load_artifact
from edgekit.errors import UsageError
from edgekit.fingerprint import hash_path
from edgekit.paths import cache_folder
from edgekit.protocols import Progress

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


@contextmanager
def making(names: Mapping[str, str], progress: Progress) -> Iterator[None]:
    """Be the only one that makes these artifacts. What others made meanwhile is there when the block begins.

    Args:
        names: What the artifacts are called, by their key.
        progress: Told of whom we wait for.
    """
    with ExitStack() as held:
        for key in sorted(names):  # in one order for all, so that no two wait for each other
            held.enter_context(_locked(cache_folder() / "locks" / key, names[key], progress))
        yield


@contextmanager
def _locked(path: Path, name: str, progress: Progress) -> Iterator[None]:
    try:
        descriptor = _acquire(path, name, progress)
    except OSError:  # no place for locks, or a file system without: the work may be done twice, and nothing worse
        yield
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, name: str, progress: Progress) -> int:
    """The locked file; one that its holder removed meanwhile is no lock any more, and is opened again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _wait(descriptor, name, progress)
            if _is_open(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait(descriptor: int, name: str, progress: Progress) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with progress.step(f"{name}: wait for another edgekit that is making it"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_open(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
