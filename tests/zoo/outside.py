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


_RANGE: Final = (
    "eight and eleven bits do not hold a spectrum's range before its logarithm or root: LiteRT's, ONNX Runtime's and "
    "PyTorch's own quantizers lose as much"
)

OUTSIDE: Final[tuple[Outside, ...]] = (
    Outside("(?!silero).*", "torchscript dynamic-int8", "no linear or recurrent layer",
            "PyTorch quantizes only linear and recurrent layers dynamically"),
    Outside("basic-pitch.*", ".* (fp16|int8|dynamic-int8|int16x8|int4-weight)", "[1-9][0-9]? dB, under", _RANGE),
    Outside("silero-vad", ".* int8", "dB, under", _RANGE),
    Outside(".*", ".* int4-weight", "dB, under", "four bits for each weight: that is what they keep of it"),
)  # fmt: skip
"""Every cause that is known."""


def cause_outside(model: str, cell: str, says: str) -> str:
    """The cause of a cell without parity; empty where none is known."""
    for known in OUTSIDE:
        if re.fullmatch(known.models, model) and re.fullmatch(known.cells, cell) and re.search(known.says, says):
            return known.cause
    return ""
