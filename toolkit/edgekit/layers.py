"""Which layers an artifact's error comes from: its inner tensors beside those of the same model in float.

A layer's error is what came in with what the layer adds. Rounding errors of layers know little of each other, so that
their powers add up: what a layer adds is what its output's error has more than the worst of its inputs' (Jacob et al.
2018, arXiv:1712.05877, take quantization for added noise). That is what layers are ranked by.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log10, sqrt
from pathlib import Path
from typing import Final, Protocol

import msgspec

from edgekit.artifact import SUFFIX, Artifact, load_artifact
from edgekit.errors import UsageError
from edgekit.model import Signature
from edgekit.protocols import Array, Requirement, Tensors

_VARIABLES: Final = {"", "ReadVariableOp", "resource"}
"""What TensorFlow puts behind a layer's name for its weights."""


class TracedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer whose output can be looked at: its output's name, its operator, and its inputs' names."""

    name: str
    operator: str
    inputs: tuple[str, ...]


class Trace(Protocol):
    """A model that shows its inner tensors."""

    layers: Sequence[TracedLayer]
    kernels: str
    """What computes the tensors, in words."""

    def run(self, inputs: Tensors) -> Mapping[str, Array]:
        """Run once; every layer's output as real numbers."""


class Tracer(Protocol):
    """Opens models of one format so that their inner tensors can be seen."""

    format: str
    requires: Sequence[Requirement]

    def open(self, model: Path, signature: Signature) -> Trace:
        """Load a model file.

        Raises:
            MeasurementError: The runtime cannot load it.
        """


class LayerError(msgspec.Struct, frozen=True, kw_only=True):
    """How far a layer's output is from that of the model in float, over all golden vectors.

    Attributes:
        name: What both files call its output.
        operator: The operator in the artifact.
        rank: 1 for the layer that adds most.
        added: What the layer adds: the root of its relative error's square less its worst input's; 0 to 1 and more.
        relative_rms: RMSE over the RMS of the float model's tensor.
        sqnr_db: 20·log10(1 / relative_rms); None when equal to the bit.
        cosine: Cosine similarity, -1 to 1.
        max_abs: Largest absolute difference.
    """

    name: str
    operator: str
    rank: int
    added: float
    relative_rms: float
    sqnr_db: float | None
    cosine: float
    max_abs: float

    @property
    def label(self) -> str:
        """The name, short: of a path of modules the last of each, in the order in which they were fused."""
        return short_name(self.name)


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """Every layer that both files have.

    Attributes:
        against: The artifact in float.
        vectors: How many golden vectors were run.
        kernels: What computed the tensors.
        layers: In the order of the graph.
        unmatched: Tensors of the float model that this one has not.
    """

    against: str
    vectors: int
    kernels: str
    layers: tuple[LayerError, ...]
    unmatched: tuple[str, ...]

    @property
    def ranked(self) -> Sequence[LayerError]:
        """The layers, the one to blame first."""
        return sorted(self.layers, key=lambda layer: layer.rank)


class _Sums:
    """What the figures of one layer are made of, vector by vector."""

    def __init__(self) -> None:
        self.noise = self.signal = self.other = self.product = 0.0
        self.greatest = 0.0

    def add(self, expected: Array, got: Array) -> None:
        """One vector more."""
        import numpy as np

        a, b = (np.asarray(item, np.float64).ravel() for item in (expected, got))
        self.noise += float(np.sum((a - b) ** 2))
        self.signal += float(np.sum(a**2))
        self.other += float(np.sum(b**2))
        self.product += float(a @ b)
        self.greatest = max(self.greatest, float(np.abs(a - b).max(initial=0.0)))

    @property
    def relative_rms(self) -> float:
        """A tensor that is zero throughout is compared as if its power were 1."""
        return sqrt(self.noise / self.signal) if self.signal > 0 else sqrt(self.noise)

    @property
    def cosine(self) -> float:
        """1 where both are zero."""
        norms = sqrt(self.signal * self.other)
        return self.product / norms if norms > 0 else float(self.noise == 0)


def compare_layers(
    reference: Trace, artifact: Trace, inputs: Iterable[Tensors]
) -> tuple[tuple[LayerError, ...], tuple[str, ...]]:
    """Run both on the same inputs and compare every tensor that both have; names without a partner come second.

    Args:
        reference: The model in float.
        artifact: The same, quantized.
        inputs: One mapping a vector.
    """
    sums: dict[str, _Sums] = {}
    for vector in inputs:
        expected, got = reference.run(vector), artifact.run(vector)
        for name in [item.name for item in reference.layers]:
            if name in got and expected[name].size == got[name].size:
                sums.setdefault(name, _Sums()).add(expected[name], got[name])
    return _ranked(reference.layers, artifact.layers, sums), tuple(
        layer.name for layer in reference.layers if layer.name not in sums
    )


def _ranked(
    reference: Sequence[TracedLayer], artifact: Sequence[TracedLayer], sums: Mapping[str, _Sums]
) -> tuple[LayerError, ...]:
    operators = {layer.name: layer.operator for layer in artifact}
    known = {layer.name: layer for layer in reference}
    added = {name: _added(known[name], known, sums) for name in sums}
    order = sorted(sums, key=lambda name: -added[name])
    ranks = {name: place for place, name in enumerate(order, 1)}
    return tuple(
        LayerError(
            name=name,
            operator=operators.get(name, known[name].operator),
            rank=ranks[name],
            added=added[name],
            relative_rms=found.relative_rms,
            sqnr_db=-20 * log10(found.relative_rms) if found.relative_rms > 0 else None,
            cosine=found.cosine,
            max_abs=found.greatest,
        )
        for name, found in sums.items()
    )


def _added(layer: TracedLayer, known: Mapping[str, TracedLayer], sums: Mapping[str, _Sums]) -> float:
    """What a layer's own error is, beside what came in, if need be through layers that could not be compared."""
    before = max((_arriving(name, known, sums) for name in layer.inputs), default=0.0)
    return sqrt(max(0.0, sums[layer.name].relative_rms ** 2 - before**2))


def _arriving(name: str, known: Mapping[str, TracedLayer], sums: Mapping[str, _Sums]) -> float:
    seen: set[str] = set()
    todo, worst = [name], 0.0
    while todo:
        name = todo.pop()
        if name in sums:
            worst = max(worst, sums[name].relative_rms)
        elif name in known and name not in seen:
            todo += known[name].inputs
        seen.add(name)
    return worst


def short_name(name: str) -> str:
    """A tensor's name without the paths that exporters write into it: `Conv2d_0+BatchNorm2d_1+ReLU_2`."""
    parts = [part for part in name.split(";") if part and not part.isdigit()]
    if not any("/" in part for part in parts):
        return name
    return "+".join(dict.fromkeys(_module(part) for part in reversed(parts)))


def _module(path: str) -> str:
    """The module in `net.Net/torch.nn.Sequential_features/torch.nn.ReLU_2`, or in `model/conv2d_2/Conv2D`."""
    steps = [step for step in path.split("/") if step not in _VARIABLES] or [path]
    if "." in steps[-1] or len(steps) == 1:
        return steps[-1].rsplit(".", 1)[-1]
    return steps[-2]


def find_reference(artifact: Artifact) -> Artifact:
    """The artifact of the same source and format in fp32, beside this one.

    Raises:
        UsageError: There is none.
    """
    wanted = artifact.manifest
    for path in sorted(artifact.path.absolute().parent.glob(f"*{SUFFIX}")):
        try:
            found = load_artifact(path)
        except UsageError:
            continue  # another one's damage is not what was asked about
        other = found.manifest
        same = (other.source.sha256, other.format) == (wanted.source.sha256, wanted.format)
        if same and other.precision == "fp32":
            return found
    raise UsageError(
        f"There is no {wanted.format} fp32 artifact of the same source beside {artifact.path}.",
        hint="Convert the source with --precision fp32 into the same folder, or name one: --against FP32.edgekit",
    )


SHOWN: Final = 10
"""How many layers are shown to people: those to blame."""
