"""Load a source model, and tell which of the user's own files it was built from."""

import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from edgekit import catalog
from edgekit.jobs import Depends, Event, StepBegan
from edgekit.model import SourceModel
from edgekit.protocols import LoadedSource

_OURS: Final = ("edgekit", "edgekit_bridge", "edgekit_converters", "edgekit_targets")

Tell = Callable[[Event], None]
"""Sends an event to the host."""


def load(source: SourceModel, reader_name: str, tell: Tell) -> LoadedSource:
    """Load with the reader of this name."""
    reader = next(item for item in catalog.readers() if item.name == reader_name)
    tell(StepBegan(f"load {Path(source.path).name}"))
    before = set(sys.modules)
    loaded = reader.load(source)
    if source.kind == "pytorch":
        tell(Depends(tuple(_user_files(set(sys.modules) - before))))
    return loaded


def _user_files(modules: set[str]) -> Iterator[str]:
    """The files of modules that are neither installed, nor part of Python, nor written by a framework just now."""
    installed = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    ours = {os.path.realpath(find) for package in _OURS for find in import_module(package).__path__}
    elsewhere = (*installed, *ours, os.path.realpath(tempfile.gettempdir()))
    for name in sorted(modules):
        file = getattr(sys.modules.get(name), "__file__", None)
        # torch.ops and torch.classes claim files that do not exist.
        if file and Path(file).is_file() and not os.path.realpath(file).startswith(elsewhere):
            yield os.path.realpath(file)
