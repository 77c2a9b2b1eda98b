"""Which of a translated graph's outputs is which of the source's, where the translation kept no names: by their values.

Positions tell nothing where shapes tie: TensorFlow sorts a signature's outputs, its functions do not.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from edgekit.errors import ConversionError
from edgekit.parity import relative_rms
from edgekit.protocols import Array


def match_by_value(expected: Sequence[Mapping[str, Array]], got: Sequence[Sequence[Array]]) -> list[str]:
    """The source's name of each output of a graph, in the graph's order: the best pair first, then those that are left.

    Args:
        expected: What the source gave, one mapping a vector.
        got: What the graph gave for the same vectors, in its order.

    Raises:
        ConversionError: An output of the graph has no counterpart of its shape.
    """
    names = list(expected[0])
    errors = {
        (place, name): _error([vector[name] for vector in expected], [vector[place] for vector in got])
        for place in range(len(got[0]))
        for name in names
    }
    chosen: dict[int, str] = {}
    for (place, name), error in sorted(errors.items(), key=lambda item: (item[1], item[0][0])):
        if place not in chosen and name not in chosen.values() and error < float("inf"):
            chosen[place] = name
    if len(chosen) < len(got[0]):
        lone = next(place for place in range(len(got[0])) if place not in chosen)
        raise ConversionError(f"Output {lone} of the translated graph is none of the source's: {', '.join(names)}.")
    return [chosen[place] for place in range(len(got[0]))]


def _error(expected: Sequence[Array], got: Sequence[Array]) -> float:
    """Relative RMS error over all vectors; infinite for another shape."""
    if any(a.shape != b.shape for a, b in zip(expected, got, strict=True)):
        return float("inf")
    a, b = (np.concatenate([np.asarray(item, np.float64).ravel() for item in items]) for items in (expected, got))
    error = relative_rms(float(np.sqrt(np.mean((a - b) ** 2))), float(np.sqrt(np.mean(a**2))))
    return error if np.isfinite(error) else float("1e30")
