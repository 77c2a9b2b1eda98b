"""NumPy's files, opened without reading them: arrays are mapped, so that a set may be larger than memory."""

import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Final

import numpy as np

from edgekit.errors import UsageError
from edgekit.expansion import bomb_reason
from edgekit.protocols import Array

_BROKEN: Final = (
    ValueError, OSError, EOFError, KeyError, SyntaxError, MemoryError, zipfile.BadZipFile, zlib.error,
    NotImplementedError, RuntimeError,
)  # fmt: skip
"""What NumPy and zipfile raise for files that are cut, garbled, encrypted, or no arrays."""

_LOCAL_HEADER: Final = 30
"""Bytes in front of a member's name in a zip file, the lengths of name and extra field at 26 and 28 (APPNOTE 4.3.7)."""


def open_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file by name, mapped; an `.npy` has one, without a name. Never unpickles.

    Raises:
        UsageError: It is neither `.npz` nor `.npy`, cut, garbled, holds objects, or expands without measure.
    """
    if path.suffix not in {".npy", ".npz"}:
        raise UsageError(f"{path} is neither .npz nor .npy.", hint="numpy.savez(file, NAME=array) writes one.")
    if not path.is_file():
        raise UsageError(f"{path} is not a regular file.")
    try:
        return dict(_open_npz(path)) if path.suffix == ".npz" else {"": np.load(path, mmap_mode="r")}
    except _BROKEN as error:
        reason = next(iter(str(error).splitlines()), "cut off").rstrip(".")
        reason = "it holds Python objects" if "pickle" in reason or "objects" in reason else reason
        raise UsageError(f"{path} is not a whole NumPy file: {reason}.", hint="Save it again, as arrays.") from None


def _open_npz(path: Path) -> Mapping[str, Array]:
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        if reason := bomb_reason(archive):
            raise UsageError(
                f"{path} expands without measure: {reason}.", hint="Save it with numpy.savez, which does not compress."
            )
        members = (item for item in archive.infolist() if item.filename.endswith(".npy"))
        arrays = {item.filename.removesuffix(".npy"): _open_member(path, archive, item) for item in members}
    return {name: array for name, array in arrays.items() if array.ndim > 0}


def _open_member(path: Path, archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> Array:
    """A stored member where it lies; a compressed one unpacked to a file that goes when nobody reads it anymore."""
    with archive.open(item) as content:
        if item.compress_type == zipfile.ZIP_STORED:
            while content.read(1 << 20):  # to its end, where its checksum is compared
                pass
            with path.open("rb") as stored:
                return _mapped(stored, _content(path, item))
        with tempfile.TemporaryFile() as unpacked:
            copyfileobj(content, unpacked, 1 << 20)
            return _mapped(unpacked, 0)


def _content(path: Path, item: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin."""
    with path.open("rb") as stream:
        stream.seek(item.header_offset)
        header = stream.read(_LOCAL_HEADER)
    return (
        item.header_offset
        + _LOCAL_HEADER
        + int.from_bytes(header[26:28], "little")
        + int.from_bytes(header[28:], "little")
    )


def _mapped(stream: IO[bytes], start: int) -> Array:
    """An array from NumPy's own header on (numpy/lib/format.py), which `np.load` maps in whole files only."""
    stream.seek(start)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if 0 in shape or not shape:
        return np.zeros(shape, dtype)
    return np.memmap(stream, dtype, "r", stream.tell(), shape, "F" if fortran else "C")
