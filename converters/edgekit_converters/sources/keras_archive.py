"""Keras files before Keras opens them: `.keras` (a zip) and legacy `.h5`."""

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edgekit.model import SourceModel
from edgekit.plan import Objection
from edgekit_converters.sources.archives import zip_objections

_HDF5: Final = b"\x89HDF\r\n\x1a\n"
"""The signature every HDF5 file begins with (HDF5 file format specification, section II.A)."""


def keras_objections(model: SourceModel) -> Sequence[Objection]:
    """Whether the file is whole, and free of Lambda layers, which run Python of the file."""
    path = Path(model.path)
    if path.suffix in {".h5", ".hdf5"}:
        with path.open("rb") as stream:
            whole = stream.read(len(_HDF5)) == _HDF5
        return [] if whole else [Objection(cause=f"{path} is not an HDF5 file.", hint="Save it again.")]
    broken = zip_objections(path, what="Keras file")
    if broken:
        return broken
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        return [Objection(cause=f"{path} is not a Keras file: config.json: {error}.", hint="Save it again.")]
    if "Lambda" in set(_class_names(config)) and not model.trusted:
        return [
            Objection(
                cause=f"{path} holds a Lambda layer, which runs Python code of the file.",
                hint="If you made this file yourself, say so with --trust.",
            )
        ]
    return []


def _class_names(config: Any) -> Iterator[str]:
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                yield item["class_name"]
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
