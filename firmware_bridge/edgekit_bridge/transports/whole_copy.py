"""Copy a file so that it is there whole or not at all: beside its place, flushed, then renamed over it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError
from edgekit.protocols import Progress, Step

_CHUNK_BYTES: Final = 1 << 20

_HINTS: Final = {
    errno.ENOSPC: "Free some space there, or move edgekit's folder with EDGEKIT_DATA.",
    errno.EDQUOT: "The quota is used up: free some space, or move edgekit's folder with EDGEKIT_DATA.",
    errno.EROFS: "The file system is read-only: move edgekit's folder with EDGEKIT_DATA.",
    errno.EACCES: "Make the folder writable for you, or move edgekit's folder with EDGEKIT_DATA.",
    errno.EPERM: "Make the folder writable for you, or move edgekit's folder with EDGEKIT_DATA.",
}
"""The next step for what a file system can refuse."""


def copy_whole(source: Path, place: Path, progress: Progress, title: str) -> None:
    """Copy `source` to `place`, making the folders it needs.

    Raises:
        DeviceError: It cannot be read or written; what was at `place` before is still there.
    """
    try:
        with source.open("rb") as stream, progress.step(title, os.fstat(stream.fileno()).st_size) as step:
            place.parent.mkdir(parents=True, exist_ok=True)
            with _replacing(place) as (descriptor, beside):
                _copy(stream.fileno(), descriptor, step)
                shutil.copymode(source, beside)
    except OSError as error:
        raise DeviceError(
            f"Cannot copy {source} to {place}: {error.strerror or error}.", hint=_HINTS.get(error.errno or 0, "")
        ) from error


@contextmanager
def _replacing(place: Path) -> Iterator[tuple[int, Path]]:
    """A new file that takes the place of `place` at the end, or leaves no trace."""
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    beside = Path(name)
    try:
        try:
            yield descriptor, beside
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.replace(place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush_folder(place.parent)


def _copy(source: int, target: int, step: Step) -> None:
    while chunk := os.read(source, _CHUNK_BYTES):
        left = memoryview(chunk)
        while left:
            left = left[os.write(target, left) :]
        step.advance(len(chunk))


def _flush_folder(folder: Path) -> None:
    """The rename itself reaches the disk with the folder (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
