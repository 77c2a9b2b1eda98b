"""Keep to an accuracy budget: leave in float what costs too much accuracy, and no more than that.

Plain int8 is made first and its tensors are ranked by the error that their layers add (`edgekit.layers`). A tensor that
is to blame stays in float: the layer that makes it and those that take it compute in float. Their weights are int8 all
the same, and in half precision only where that is not enough. How many tensors, the worst first, is found by doubling
and then halving; then each of them is tried in int8 again, since one's rounding may have been another's fault. Accuracy
is measured by the runtime that artifacts are deployed with.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgekit import catalog
from edgekit.artifact import Accuracy, Budget, KeptLayer
from edgekit.errors import ConversionError, UsageError
from edgekit.jobs import StepBegan
from edgekit.layers import LayerError, TracedLayer, compare_layers
from edgekit.model import Signature
from edgekit.plan import ConversionPlan
from edgekit.protocols import Converted
from edgekit.worker.checking import Reference, check
from edgekit.worker.loading import Tell

Make = Callable[[ConversionPlan, Path], Converted]
"""Converts into an empty folder."""

_AGAIN: Final = 12
"""The most tensors that are tried in int8 again one by one: each costs a conversion and an evaluation."""


class _Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was measured."""

    accuracy: Accuracy
    size: int


class _Search:
    """Versions of one model, each measured once."""

    def __init__(self, plan: ConversionPlan, make: Make, reference: Reference, tell: Tell) -> None:
        self._plan = plan
        self._make = make
        self._reference = reference
        self._tell = tell
        self._known: dict[tuple[bool, tuple[str, ...]], _Measured] = {}
        self._unmatched: set[str] = set()
        self.wide_weights = False
        self.consumers: dict[str, list[TracedLayer]] = {}
        self.makers: dict[str, TracedLayer] = {}

    @property
    def tried(self) -> int:
        """How many were measured."""
        return len(self._known)

    def measure(self, tensors: Sequence[str]) -> _Measured:
        """The version that has these tensors in float."""
        layers = tuple(layer.name for layer, _ in self.layers(tensors))
        key = self.wide_weights, layers
        if key not in self._known:
            with self._made(self.planned(layers)) as made:
                self._tell(StepBegan(f"measure it with {len(layers)} layers in float"))
                self._known[key] = self._measured(made)
        return self._known[key]

    def planned(self, layers: tuple[str, ...]) -> ConversionPlan:
        """The plan with these layers in float."""
        weights = bool(layers) and self.wide_weights
        return msgspec.structs.replace(self._plan, float_layers=layers, wide_weights=weights)

    def holds(self, tensors: Sequence[str]) -> bool:
        """Whether that version keeps to the budget."""
        accuracy = self.measure(tensors).accuracy
        return accuracy.source is not None and accuracy.source - accuracy.artifact <= (self._plan.max_drop or 0.0)

    def layers(self, tensors: Sequence[str]) -> list[tuple[TracedLayer, str]]:
        """The layers that make or take one of these tensors, each with the first of those tensors."""
        found: dict[str, tuple[TracedLayer, str]] = {}
        for tensor in tensors:
            for layer in (*self._making(tensor), *self.consumers.get(tensor, ())):
                found.setdefault(layer.name, (layer, tensor))
        return list(found.values())

    def _making(self, tensor: str) -> Iterator[TracedLayer]:
        """The layer that makes a tensor, with those before it that are one with it when quantized (`Conv`, `Relu`)."""
        layer = self.makers[tensor]
        yield layer
        for name in layer.inputs:
            if name in self._unmatched:
                yield from self._making(name)

    def blame(self) -> list[LayerError]:
        """The tensors of plain int8 whose layers add to the error, the worst first."""
        tracer = catalog.tracer(self._plan.format)
        plain = msgspec.structs.replace(
            self._plan, precision="fp32", max_drop=None, calibration=None, calibration_method=None, io_type="float32"
        )
        self._tell(StepBegan("look into every layer"))
        with self._made(plain) as in_float, self._made(self._plan) as quantized:
            traces = [tracer.open(made.model, _signature(made)) for made in (in_float, quantized)]
            found, unmatched = compare_layers(traces[0], traces[1], self._reference.inputs)
            self._unmatched = set(unmatched)
            self.makers = {layer.name: layer for layer in traces[0].layers}
        for layer in self.makers.values():
            for name in layer.inputs:
                self.consumers.setdefault(name, []).append(layer)
        return sorted((layer for layer in found if layer.added > 0), key=lambda layer: layer.rank)

    @contextmanager
    def _made(self, plan: ConversionPlan) -> Iterator[Converted]:
        with tempfile.TemporaryDirectory() as folder:
            yield self._make(plan, Path(folder))

    def _measured(self, made: Converted) -> _Measured:
        accuracy = check(made.model, _signature(made), self._plan, self._reference).accuracy
        if accuracy is None or accuracy.source is None:
            raise UsageError(
                "An accuracy budget needs labels, and the evaluation set has none.",
                hint="Add an array `labels` to it: an integer for each sample.",
            )
        return _Measured(accuracy=accuracy, size=made.model.stat().st_size)


def keep_within(plan: ConversionPlan, make: Make, reference: Reference, tell: Tell) -> tuple[ConversionPlan, Budget]:
    """Find which layers must stay in float; gives the plan with them, and what was found.

    Raises:
        UsageError: The evaluation set has no labels.
        ConversionError: No choice of layers keeps to the budget.
    """
    search = _Search(plan, make, reference, tell)
    plain = search.measure(())
    blamed: dict[str, LayerError] = {}
    chosen: list[str] = []
    if not search.holds(()):
        blamed = {layer.name: layer for layer in search.blame()}
        chosen = _fewer(search, _enough(search, list(blamed)))
    kept = tuple(
        KeptLayer(name=layer.name, operator=layer.operator, because=tensor, added=blamed[tensor].added)
        for layer, tensor in search.layers(chosen)
    )
    budget = Budget(
        max_drop=plan.max_drop or 0.0, plain=plain.accuracy, plain_bytes=plain.size, tried=search.tried, kept=kept
    )
    return search.planned(tuple(layer.name for layer in kept)), budget


def _enough(search: _Search, ranked: Sequence[str]) -> list[str]:
    """The shortest beginning of the ranking that keeps to the budget, as far as more layers in float never harm.

    Raises:
        ConversionError: All of it does not.
    """
    if not search.holds(ranked):
        search.wide_weights = True
    low, high = 0, 1
    while not search.holds(ranked[: min(high, len(ranked))]):
        if high >= len(ranked):
            best = search.measure(ranked).accuracy
            raise ConversionError(
                f"int8 cannot keep to the accuracy budget: with every layer that rounds in float it still "
                f"loses {best.drop_points or 0.0:.1f} points.",
                hint="Allow a larger --max-drop, give more calibration samples, or use --precision fp16.",
            )
        low, high = high, 2 * high
    high = min(high, len(ranked))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if search.holds(ranked[:middle]) else (middle, high)
    return list(ranked[:high])


def _fewer(search: _Search, chosen: list[str]) -> list[str]:
    """The same without those that need not be there, the least blamed first."""
    for tensor in list(reversed(chosen))[:_AGAIN]:
        left = [item for item in chosen if item != tensor]
        if left and search.holds(left):
            chosen = left
    return chosen


def _signature(made: Converted) -> Signature:
    return Signature(inputs=made.inputs, outputs=made.outputs)
