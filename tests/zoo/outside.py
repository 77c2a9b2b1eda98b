"""Causes outside edgekit: what keeps some models from some formats, and who would have to change what."""

import re
from typing import Final, NamedTuple


class Outside(NamedTuple):
    """A cause: it holds where all three patterns match.

    Attributes:
        models: Names of models, a pattern.
        cells: Format and precision, a pattern: `torchscript dynamic-int8`.
        says: A part of what edgekit says, a pattern.
        cause: Who would have to change what.
    """

    models: str
    cells: str
    says: str
    cause: str


OUTSIDE: Final[tuple[Outside, ...]] = (
    Outside(".*", "torchscript dynamic-int8", "no linear or recurrent layer",
            "PyTorch quantizes only linear and recurrent layers dynamically"),
)  # fmt: skip
"""Every cause that is known."""


def cause_outside(model: str, cell: str, says: str) -> str:
    """The cause of a cell without parity; empty where none is known."""
    for known in OUTSIDE:
        if re.fullmatch(known.models, model) and re.fullmatch(known.cells, cell) and re.search(known.says, says):
            return known.cause
    return ""
