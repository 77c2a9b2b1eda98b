"""A source model held by TensorFlow: one function of fixed shapes, inputs and outputs by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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
        free_batch: Whether the source itself takes any batch, the first axis of every input.
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
        free_batch: bool = False,
    ) -> None:
        import tensorflow as tf

        self.owner = owner
        self.free_batch = free_batch
        self._call = call  # keeps the variables alive, which the function refers to weakly
        self.framework = framework
        self.parameters = parameters
        self.operators = operators
        self.notes: Sequence[str] = ()
        specs = {spec.name: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs}
        self.function = self._traced(specs)
        outputs = self.function.structured_outputs
        self.signature = Signature(
            inputs=tuple(inputs),
            outputs=tuple(_spec(name, value) for name, value in outputs.items()),
        )

    def _traced(self, specs: Mapping[str, Any]) -> Any:
        import tensorflow as tf

        return tf.function(lambda **named: dict(self._call(named))).get_concrete_function(**specs)

    def with_free_batch(self) -> Any:
        """The function for any batch; the fixed one where the source has no free batch, or cannot be traced with it."""
        import tensorflow as tf

        if not self.free_batch:
            return self.function
        specs = {
            spec.name: tf.TensorSpec((None, *spec.shape[1:]), spec.dtype, name=spec.name)
            for spec in self.signature.inputs
        }
        try:
            return self._traced(specs)
        except (ValueError, TypeError, tf.errors.OpError):
            return self.function

    def save(self, folder: str | Path, function: Any) -> None:
        """Write a SavedModel whose signature `serving_default` is a function of this source."""
        import tensorflow as tf

        holder = tf.Module()
        # The variables alone for Keras: beside a model's own functions, which may assign them, they are not frozen.
        holder.held = list(function.variables) if self.owner is None else self.owner
        tf.saved_model.save(holder, str(folder), signatures=function)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name."""
        import tensorflow as tf

        tensors = {spec.name: tf.constant(inputs[spec.name]) for spec in self.signature.inputs}
        return {name: np.asarray(value) for name, value in self.function(**tensors).items()}


def _spec(name: str, value: Any) -> TensorSpec:
    shape = tuple(int(dim) if dim is not None else f"dim_{place}" for place, dim in enumerate(value.shape))
    return TensorSpec(name=name, shape=shape, dtype=value.dtype.name)
