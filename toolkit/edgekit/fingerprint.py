"""Content hashes: of files, of folders, and of everything that decides what a conversion gives."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.model import SourceModel

_OURS: Final = ("edgekit", "edgekit_bridge", "edgekit_converters")
"""Our packages that decide what an artifact is."""

_CODE: Final = {".py", ".c", ".h"}
"""What is code in them."""


def hash_path(path: Path | str) -> str:
    """SHA-256 of a file, or of a folder's files with their names, hexadecimal.

    Raises:
        UsageError: It cannot be read.
    """
    place = Path(path)
    try:
        if not place.is_dir():
            return _hash_file(place)
        digest = hashlib.sha256()
        for file in sorted(item for item in place.rglob("*") if item.exists() and not item.is_dir()):
            digest.update(f"{file.relative_to(place).as_posix()}\0{_hash_file(file)}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise UsageError(f"Cannot read {place}: {error.strerror or error}.") from None


def _hash_file(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file.", hint="Pipes and devices are not read: they may never end.")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_source(source: SourceModel) -> str:
    """SHA-256 of every byte the source model consists of: its file or folder, its factory's name, its weights."""
    parts = [hash_path(source.path), source.factory, hash_path(source.weights) if source.weights else ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def hash_request(*parts: object) -> str:
    """SHA-256 of anything msgspec can encode, with edgekit's own code."""
    return hashlib.sha256(msgspec.json.encode([__version__, _own_code(), *parts], order="deterministic")).hexdigest()


@cache
def _own_code() -> str:
    """SHA-256 of our modules: in a checkout they change without the version."""
    found = [find_spec(package) for package in _OURS]
    folders = [place for spec in found if spec for place in spec.submodule_search_locations or ()]
    files = sorted(file for folder in folders for file in Path(folder).rglob("*") if file.suffix in _CODE)
    return hashlib.sha256("".join(map(_hash_file, files)).encode()).hexdigest()


@cache
def package_version(name: str) -> str:
    """The installed version of a distribution; empty when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """The installed ones of these distributions with their versions."""
    return {name: package_version(name) for name in sorted(set(names)) if package_version(name)}


@cache
def environment() -> str:
    """SHA-256 of this Python and every distribution that it can import, with its version.

    Not those alone that converters name: what they depend on counts too, and so does what a user's factory imports.
    Read off the folders' names (`torch-2.13.0.dist-info`, PEP 427), which takes a few milliseconds.
    """
    found = sorted(name for path in sys.path for name in _distributions(path))
    return hashlib.sha256("\n".join((sys.version, *found)).encode()).hexdigest()


def _distributions(path: str) -> Iterator[str]:
    try:
        with os.scandir(path or ".") as entries:
            yield from (entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
    except OSError:  # not there, or a zip file
        return
