"""Inner tensors of an ONNX file: each becomes an output of it; where one is rounded, what it is rounded to counts."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.layers import Trace, TracedLayer, Tracer
from edgekit.model import Signature
from edgekit.protocols import Array, Requirement, Tensors
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.typed import typed_errors

_MOVERS: Final = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Constant"}

_ROUNDED: Final = "DequantizeLinear"


class _OnnxTrace:
    kernels = "ONNX Runtime, every tensor an output (which keeps it from fusing some operators)"

    def __init__(self, model: Path, signature: Signature) -> None:
        import onnx

        held = onnx.load(str(model))
        typed = {item.name: item for item in onnx.shape_inference.infer_shapes(held).graph.value_info}
        typed |= {item.name: item for item in held.graph.output}
        rounded = _rounded(held.graph)
        constant = _constants(held.graph)
        layers, self._seen_as = [], dict[str, str]()
        for node in held.graph.node:
            for name in node.output:
                if node.op_type in _MOVERS or name in constant or not _is_float(typed.get(name)):
                    continue
                layers.append(TracedLayer(name=name, operator=node.op_type, inputs=tuple(_before(node, held.graph))))
                self._seen_as[name] = rounded.get(name, name)
        self.layers: Sequence[TracedLayer] = tuple(layers)
        there = {item.name for item in held.graph.output}
        wanted = dict.fromkeys(name for name in self._seen_as.values() if name not in there)
        held.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
        specs = [{"name": name, "dtype": "float32", "shape": []} for name in dict.fromkeys(self._seen_as.values())]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "traced.onnx"
            file.write_bytes(held.SerializeToString())
            inputs = msgspec.to_builtins(signature.inputs)
            self._model = on_device.OnnxModel(str(file), inputs, specs, threads=1, engine="", delegate="default")

    def run(self, values: Tensors) -> Mapping[str, Array]:
        """See `Trace`."""
        with typed_errors():
            found = self._model.run(dict(values))
        return {name: found[seen] for name, seen in self._seen_as.items()}


def _is_float(item: Any) -> bool:
    from onnx import TensorProto

    return item is not None and item.type.tensor_type.elem_type == TensorProto.FLOAT


def _rounded(graph: Any) -> dict[str, str]:
    """By tensor, what it is after it was rounded: `x` → QuantizeLinear → DequantizeLinear → `x'`."""
    integers = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    pairs = ((integers.get(node.input[0]), node.output[0]) for node in graph.node if node.op_type == _ROUNDED)
    return {name: after for name, after in pairs if name is not None}


def _constants(graph: Any) -> set[str]:
    """Tensors that hang on no input: weights that are widened when the model is loaded."""
    known = {item.name for item in graph.initializer}
    for node in graph.node:
        if all(name in known or not name for name in node.input):
            known.update(node.output)
    return known


def _before(node: Any, graph: Any) -> Iterator[str]:
    """The tensors that a node takes, as the float model knows them: rounding looked through."""
    makers = {name: item for item in graph.node for name in item.output}
    for name in node.input:
        while name in makers and makers[name].op_type in _MOVERS and makers[name].input:
            name = makers[name].input[0]  # noqa: PLW2901 - follows the tensor to where it comes from
        yield name


class _OnnxTracer:
    format = "onnx"
    requires: Sequence[Requirement] = tuple(
        Requirement(module=module, extra="onnx") for module in ("onnx", "onnxruntime")
    )

    def open(self, model: Path, signature: Signature) -> Trace:
        """See `Tracer`."""
        with typed_errors():
            return _OnnxTrace(model, signature)


TRACER: Tracer = _OnnxTracer()
