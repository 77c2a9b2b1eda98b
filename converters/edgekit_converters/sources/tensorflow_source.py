"""A source model held by TensorFlow: one function of fixed shapes, inputs and outputs by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.model import Signature, TensorSpec
from edgekit.protocols import Array, Tensors

Call = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Calls the model with inputs by name; outputs by name."""


class TensorflowSource:
    """A `LoadedSource` in TensorFlow.

    Attributes:
        owner: What holds the resources of the function; a SavedModel must hold it too.
        function: A `tf.function` with one fixed signature.
    """

    def __init__(
        self,
        owner: Any,
        call: Call,
        inputs: Sequence[TensorSpec],
        *,
        framework: str,
        parameters: int,
        operators: Mapping[str, int],
    ) -> None:
        import tensorflow as tf

        self.owner = owner
        self._call = call  # keeps the variables alive, which the function refers to weakly
        self.framework = framework
        self.parameters = parameters
        self.operators = operators
        self.notes: Sequence[str] = ()
        specs = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs}
        self.function = tf.function(lambda **named: dict(call(named))).get_concrete_function(**specs)
        outputs = self.function.structured_outputs
        self.signature = Signature(
            inputs=tuple(inputs),
            outputs=tuple(_spec(name, value) for name, value in outputs.items()),
        )

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name."""
        import tensorflow as tf

        tensors = {spec.name: tf.constant(inputs[spec.name]) for spec in self.signature.inputs}
        return {name: np.asarray(value) for name, value in self.function(**tensors).items()}


def _spec(name: str, value: Any) -> TensorSpec:
    shape = tuple(int(dim) if dim is not None else f"dim_{place}" for place, dim in enumerate(value.shape))
    return TensorSpec(name=name, shape=shape, dtype=value.dtype.name)
