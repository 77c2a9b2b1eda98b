"""Load a source model, and tell which of the user's own files it was built from: modules, and what they read."""

import os
import site
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from edgekit import catalog
from edgekit.jobs import Depends, Event, StepBegan
from edgekit.model import SourceModel
from edgekit.protocols import LoadedSource, RelayableSource

_OURS: Final = ("edgekit", "edgekit_bridge", "edgekit_converters", "edgekit_targets")

_READING: Final = {"r", "rb", "rt", None}
"""The modes of Python's `open`; of `os.open`, which has none, whatever is still there when the block ends."""

_SYSTEM: Final = ("/dev/", "/etc/", "/proc/", "/sys/", "/usr/")

Tell = Callable[[Event], None]
"""Sends an event to the host."""


def load(source: SourceModel, reader_name: str, tell: Tell) -> LoadedSource:
    """Load with the reader of this name."""
    reader = next(item for item in catalog.readers() if item.name == reader_name)
    tell(StepBegan(f"load {Path(source.path).name}"))
    if source.kind != "pytorch":
        return reader.load(source)
    with files_used() as used:
        loaded = reader.load(source)
    hashed = os.path.realpath(source.weights)  # the source's own hash holds it
    tell(Depends(tuple(file for file in used if file != hashed)))
    return loaded


def laid_out(source: LoadedSource, layout: str) -> LoadedSource:
    """The source in the layout that a plan asks for.

    Raises:
        UsageError: It has no tensor that could be turned.
    """
    return cast("RelayableSource", source).relaid(layout) if layout else source


@contextmanager
def files_used() -> Iterator[list[str]]:
    """The user's own files that code in the block imports or opens to read; the list is filled at the end.

    Those that are neither installed, nor part of Python or of the system, nor written by a framework just now.
    """
    before, opened, used = set(sys.modules), set[str](), list[str]()
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], str) and arguments[1] in _READING:
            opened.add(os.path.realpath(arguments[0]))

    sys.addaudithook(watch)  # for good: there is no way to take one away
    try:
        yield used
    finally:
        watching = False
    modules = (getattr(sys.modules.get(name), "__file__", None) for name in set(sys.modules) - before)
    elsewhere = tuple(_elsewhere())
    files = opened | {os.path.realpath(file) for file in modules if file}
    # torch.ops and torch.classes claim files that do not exist.
    used += [file for file in sorted(files) if Path(file).is_file() and not file.startswith(elsewhere)]


def _elsewhere() -> Iterator[str]:
    """Where the user's own files are not."""
    yield from _SYSTEM
    yield os.path.realpath(tempfile.gettempdir())
    for path in (*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()):
        yield os.path.realpath(path)
    for package in _OURS:
        yield from map(os.path.realpath, import_module(package).__path__)
