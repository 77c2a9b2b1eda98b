"""What edgekit writes appears whole or not at all: written beside its place, then renamed into it."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edgekit.artifact import MANIFEST, SUFFIX
from edgekit.errors import EdgekitError, UsageError

_STAGING: Final = ".edgekit-staging-"

_FILE_MODE: Final = 0o644
"""Temporary files are private; what a user asked for is not."""

_SPARE_BYTES: Final = 1 << 16
"""A disk with less than this left is the likely cause of whatever went wrong on it."""


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A private folder on the same disk as `out`, removed at the end whatever happens.

    Raises:
        UsageError: `out` cannot be written to, or its disk is full.
    """
    folder: Path | None = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=out))
        yield folder
    except OSError as error:
        raise _disk_error(error, out) from error
    except EdgekitError as error:
        raise explain_full_disk(error, out) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, renamed to it at the end; nothing of it stays when that fails.

    Raises:
        UsageError: It cannot be written there, or the disk is full.
    """
    descriptor, name = -1, ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        yield Path(name)
        Path(name).chmod(_FILE_MODE)
        Path(name).replace(path)
    except OSError as error:
        raise _disk_error(error, path) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
            Path(name).unlink(missing_ok=True)


def explain_full_disk(error: EdgekitError, out: Path) -> EdgekitError:
    """The error itself, or the likelier one when the disk of `out` is full: frameworks seldom say so."""
    if out.exists() and shutil.disk_usage(out).free < _SPARE_BYTES:
        return _full(out)
    return error


def _full(out: Path) -> UsageError:
    return UsageError(f"No space is left on the disk of {out}.", hint="Free some, or choose another place.")


def _disk_error(error: OSError, out: Path) -> EdgekitError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _full(out)
    return UsageError(
        f"Cannot write to {out}: {error.strerror or error}.", hint="Make it writable, or choose another place."
    )


def publish(folder: Path, out: Path, name: str) -> Path:
    """Move a finished artifact to `out/NAME.edgekit`, replacing an older one; safe beside others doing the same.

    Raises:
        UsageError: Something that is no artifact stands there.
    """
    final = out / f"{name}{SUFFIX}"
    with _locked(out):
        if final.exists() and not (final / MANIFEST).is_file():
            raise UsageError(f"{final} is there and is no artifact.", hint="Move it away, or choose another -o.")
        old = Path(tempfile.mkdtemp(prefix=_STAGING, dir=out))
        try:
            if final.exists():
                final.rename(old / final.name)
            folder.rename(final)
        finally:
            shutil.rmtree(old, ignore_errors=True)
    return final


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Exclusive among edgekit processes: an advisory lock on the folder itself, which leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
