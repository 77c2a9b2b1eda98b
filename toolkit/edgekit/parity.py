"""How far an artifact is from its source: figures over all golden vectors, and accuracy where there are labels."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import OutputParity
from edgekit.errors import ConversionError, UsageError
from edgekit.protocols import Array, Tensors

Runner = Callable[[Tensors], Mapping[str, Array]]
"""Runs a model once: inputs by name, outputs by name."""


def compare_outputs(
    expected: Sequence[Mapping[str, Array]], got: Sequence[Mapping[str, Array]]
) -> tuple[OutputParity, ...]:
    """Compare outputs vector by vector.

    Args:
        expected: The source's outputs, one mapping a golden vector.
        got: The artifact's, in the same order.

    Raises:
        ConversionError: An output is of another size, so that nothing can be compared.
    """
    return tuple(
        _compare(name, [vector[name] for vector in expected], [vector[name] for vector in got]) for name in expected[0]
    )


def _compare(name: str, expected: Sequence[Array], got: Sequence[Array]) -> OutputParity:
    for right, found in zip(expected, got, strict=True):
        if right.size != found.size:
            raise ConversionError(
                f"Output {name!r} has shape {found.shape}; the source's has {right.shape}.",
                hint="The converter mixed outputs up, or fixed a shape that is free in the source.",
            )
    a = np.stack([np.asarray(item, np.float64).ravel() for item in expected])
    b = np.stack([np.asarray(item, np.float64).ravel() for item in got])
    difference = a - b
    rmse = float(np.sqrt(np.mean(difference**2)))
    signal = float(np.sqrt(np.mean(a**2)))
    relative = relative_rms(rmse, signal)
    return OutputParity(
        name=name,
        max_abs=float(np.abs(difference).max(initial=0.0)),
        rmse=rmse,
        relative_rms=relative,
        cosine=_cosine(a.ravel(), b.ravel()),
        sqnr_db=float(-20 * np.log10(relative)) if relative > 0 else None,
        top1_agreement=_top1_agreement(expected, got),
    )


def relative_rms(rmse: float, signal_rms: float) -> float:
    """RMSE over the signal's RMS; an output that is zero throughout is compared as if its RMS were 1."""
    return rmse / signal_rms if signal_rms > 0 else rmse


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms > 0 else float(np.array_equal(a, b))


def _top1_agreement(expected: Sequence[Array], got: Sequence[Array]) -> float | None:
    if expected[0].ndim == 0 or expected[0].shape[-1] < 2:  # noqa: PLR2004 - one element is always the largest
        return None
    same = [np.argmax(a, axis=-1) == np.argmax(b, axis=-1) for a, b in zip(expected, got, strict=True)]
    return float(np.mean(np.concatenate([np.atleast_1d(item).ravel() for item in same])))


def top1_accuracy(run: Runner, samples: Iterable[Tensors], labels: Array, output: str) -> float:
    """The share of samples whose largest element of `output` is at the label.

    Raises:
        UsageError: The output has not one score a class, or a label is no class.
    """
    right = 0
    for sample, label in zip(samples, labels, strict=True):
        scores = np.asarray(run(sample)[output]).ravel()
        if not 0 <= int(label) < scores.size or scores.size < 2:  # noqa: PLR2004 - one score is no choice
            raise UsageError(
                f"Label {int(label)} is not one of the {scores.size} classes of output {output!r}.",
                hint="labels must be integers, one a sample, each the index of the right class.",
            )
        right += int(np.argmax(scores)) == int(label)
    return right / len(labels)
