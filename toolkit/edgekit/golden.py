"""Golden vectors: inputs with the source framework's outputs, to be run again wherever the artifact goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.dataset import DataSet
from edgekit.model import Signature, TensorSpec
from edgekit.plan import GOLDEN_SAMPLES
from edgekit.protocols import Array, Tensors

Origin = Literal["calibration", "evaluation", "random"]


def golden_inputs(
    signature: Signature, calibration: DataSet | None, evaluation: DataSet | None
) -> tuple[list[dict[str, Array]], Origin]:
    """The inputs: spread over the evaluation set, else over the calibration set, else random numbers.

    Data beats noise because real inputs reach real activations; the evaluation set comes first because
    calibration has already fitted the ranges to its own samples.
    """
    for data, origin in ((evaluation, "evaluation"), (calibration, "calibration")):
        if data is not None:
            places = np.unique(np.linspace(0, len(data) - 1, GOLDEN_SAMPLES).round().astype(int))
            return list(data.samples(signature, places.tolist())), origin  # type: ignore[return-value]  # a literal
    generator = np.random.default_rng(0)
    return [{spec.name: _noise(spec, generator) for spec in signature.inputs} for _ in range(GOLDEN_SAMPLES)], "random"


def _noise(spec: TensorSpec, generator: np.random.Generator) -> Array:
    """Standard normal for real inputs; 0 or 1 for integers, which are inside any vocabulary."""
    shape = tuple(int(dim) for dim in spec.shape)
    if np.dtype(spec.dtype).kind == "f":
        return generator.standard_normal(shape).astype(spec.dtype)
    return generator.integers(0, 2, shape).astype(spec.dtype)


def save_golden(path: Path, inputs: Sequence[Tensors], outputs: Sequence[Tensors]) -> None:
    """Write `in:NAME` and `out:NAME`, first axis the vector."""
    arrays = {f"in:{name}": np.stack([vector[name] for vector in inputs]) for name in inputs[0]}
    arrays |= {f"out:{name}": np.stack([vector[name] for vector in outputs]) for name in outputs[0]}
    np.savez(path, **arrays)  # type: ignore[arg-type]  # names hold a colon, which savez takes


def load_golden(path: Path) -> tuple[list[Tensors], list[Tensors]]:
    """The inputs and the source's outputs, one mapping a vector."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    return _vectors(arrays, "in:"), _vectors(arrays, "out:")


def _vectors(arrays: dict[str, Array], prefix: str) -> list[Tensors]:
    chosen = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    count = len(next(iter(chosen.values())))
    return [{name: value[place] for name, value in chosen.items()} for place in range(count)]
