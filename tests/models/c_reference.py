"""LiteRT's reference kernels, which models in C are compared with, and the inputs that they are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.model import TensorSpec

Array = NDArray[Any]


class Reference:
    """A TFLite file in LiteRT with its reference kernels."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._content = content
        kernels = OpResolverType.BUILTIN_REF
        self._interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
        self._interpreter.allocate_tensors()
        self.inputs = self._interpreter.get_input_details()
        self.outputs = self._interpreter.get_output_details()

    @property
    def dtypes(self) -> set[str]:
        """The element types of all its tensors."""
        return {np.dtype(detail["dtype"]).name for detail in self._interpreter.get_tensor_details()}

    def specs(self) -> tuple[list[TensorSpec], list[TensorSpec]]:
        """Inputs and outputs as the file calls them."""
        from edgekit_converters.c.graph import read_graph

        graph = read_graph(self._content)
        inputs, outputs = (
            [TensorSpec(name=graph.names[tensor.index], shape=tensor.shape, dtype="float32") for tensor in part]
            for part in (graph.inputs, graph.outputs)
        )
        return inputs, outputs

    def samples(self, count: int) -> list[list[Array]]:
        """Random inputs over the whole range of the type."""
        rng = np.random.default_rng(1)

        def one(detail: Any) -> Array:
            if detail["dtype"] == np.int8:
                return np.asarray(rng.integers(-128, 128, detail["shape"]), np.int8)
            return np.asarray(3 * rng.standard_normal(detail["shape"]), detail["dtype"])

        return [[one(detail) for detail in self.inputs] for _ in range(count)]

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs of one sample."""
        for detail, value in zip(self.inputs, sample, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self.outputs]
