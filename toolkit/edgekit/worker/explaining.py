"""Add to a failure the layer that it is about: a converter names an operator, and a model has many of it."""

import re
from pathlib import Path
from typing import Final

from edgekit import catalog
from edgekit.errors import EdgekitError
from edgekit.protocols import LoadedSource

_OPCODE: Final = re.compile(r"'([A-Z][A-Z0-9_]{2,})'")
"""An operator as TFLite's runtimes quote it."""

_MOST: Final = 3


def with_layer(error: Exception, source: LoadedSource, folder: Path) -> Exception:
    """The error, its cause naming the layers where that can be known.

    Args:
        error: What kept an artifact from being made.
        source: Its source, which may know its layers (`blame`).
        folder: What of it was written.
    """
    if not isinstance(error, EdgekitError):
        return error
    where = _in_files(error.cause, folder) or _in_source(error, source)
    if where:
        error.cause = f"{error.cause.rstrip('.')} ({where})."
    return error


def _in_source(error: EdgekitError, source: LoadedSource) -> str:
    blame = getattr(source, "blame", None)
    whole = f"{error.cause}\n{error.__cause__ or ''}"
    return str(blame(whole)) if blame else ""


def _in_files(cause: str, folder: Path) -> str:
    """The layers of the model file whose operator its runtime refuses."""
    for operator in _OPCODE.findall(cause):
        for model in sorted(folder.glob("model.*")):
            layers = catalog.placer().users(model, operator)
            if layers:
                more = f" and {len(layers) - _MOST} more" if len(layers) > _MOST else ""
                return f"used by {', '.join(layers[:_MOST])}{more}"
    return ""
