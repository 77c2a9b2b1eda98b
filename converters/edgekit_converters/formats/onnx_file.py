"""An ONNX file: its tensors' names, what may stay in it, and the facts it tells (specification: onnx/docs/IR.md)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, Final

import msgspec

from edgekit.artifact import QuantizedShare

IR_VERSION: Final = 8
"""The file format's version, that of opset 18 (onnx/docs/Versioning.md): ONNX Runtime 1.14 and newer read it."""

_FLOATS: Final = {
    "Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Einsum", "Attention", "DeformConv", "MatMulNBits",
    "FusedConv", "FusedMatMul", "FusedGemm",
}  # fmt: skip
"""Operators that hold weights and do the arithmetic; on integers when what they take was just dequantized."""

_INTEGERS: Final = {
    "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
}  # fmt: skip
"""The same on integers, ONNX Runtime's own among them (onnxruntime/docs/ContribOperators.md)."""

_RECURRENT: Final = {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"}
"""Operators whose inputs behind the third are biases, states and scales, as matrices of one row."""

MATRIX: Final = 2
"""Constants of fewer dimensions are biases and shapes, not weights."""

SCALES: Final = "_scales"
"""How our own quantizer's scales end, which have as many dimensions as the weight."""


class OnnxFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The operators with their counts, those of branches and loops too, and how much of the model is not float32."""

    operators: dict[str, int]
    share: QuantizedShare


def onnx_facts(model: Any) -> OnnxFacts:
    """Read operators and weights of a model."""
    kinds = Counter(node.op_type for graph in graphs(model.graph) for node in graph.node)
    share = QuantizedShare(weights=_weight_share(model.graph), operators=_operator_share(model.graph))
    return OnnxFacts(operators=dict(sorted(kinds.items())), share=share)


def name_borders(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[str, ...]:
    """Call the model's inputs and outputs what the source calls them.

    A name in a graph stands for one value only: another value of such a name gets out of its way, and an output that
    is called as an input is gets a name of its own.

    Args:
        model: Its inputs are in the order of `inputs`, its outputs in that of `outputs`; it is changed.
        inputs: The inputs' names.
        outputs: The outputs' names.

    Returns:
        What the file calls the outputs.
    """
    graph = model.graph
    taken = set(inputs)
    called = []
    for name in outputs:
        called.append(_free(name, "_out", taken))
        taken.add(called[-1])
    _give_own_values(graph, {item.name for item in graph.input})
    border = dict(zip((item.name for item in (*graph.input, *graph.output)), (*inputs, *called), strict=True))
    every = {name for part in graphs(graph) for name in _names(part)}
    inner = {name: _free(name, "_inner", every | taken) for name in every & taken if name not in border}
    _rename(graph, inner | border)
    return tuple(called)


def finish(model: Any) -> bytes:
    """The file's bytes, without lines and paths of the source's Python files, which exporters write into it."""
    model.ir_version = IR_VERSION
    model.doc_string = ""
    del model.metadata_props[:]
    for graph in graphs(model.graph):
        for item in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
            item.doc_string = ""
            del item.metadata_props[:]
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def constants_to_initializers(graph: Any) -> None:
    """Hold as initializers what the exporter wrote as `Constant` nodes: quantizers look there for weights."""
    for node in [item for item in graph.node if item.op_type == "Constant" and item.attribute[0].name == "value"]:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def split_linear(graph: Any) -> None:
    """Write `Gemm` with constant weights as `MatMul` and `Add`, which quantizers of weights look for."""
    from onnx import helper, numpy_helper

    stored = {item.name: item for item in graph.initializer}
    nodes = []
    for node in graph.node:
        given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        plain = given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0 and not given.get("transA")
        if node.op_type != "Gemm" or not plain or node.input[1] not in stored:
            nodes.append(node)
            continue
        weight = numpy_helper.to_array(stored[node.input[1]])
        turned = numpy_helper.from_array(
            (weight.T if given.get("transB") else weight).copy(), f"{node.output[0]}_weight"
        )
        graph.initializer.append(turned)
        product = f"{node.output[0]}_product" if len(node.input) > MATRIX else node.output[0]
        nodes.append(helper.make_node("MatMul", [node.input[0], turned.name], [product]))
        if product != node.output[0]:
            nodes.append(helper.make_node("Add", [product, node.input[2]], list(node.output)))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)


def graphs(graph: Any) -> Iterator[Any]:
    """A graph and every one inside it: the branches and bodies of `If`, `Loop` and `Scan`."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from graphs(inner)


def _free(name: str, end: str, taken: set[str]) -> str:
    while name in taken:
        name += end
    return name


def _give_own_values(graph: Any, inputs: set[str]) -> None:
    """Let each output be a value of its own, where it is an input that passes through, or another output again."""
    from onnx import helper

    seen = set(inputs)
    for place, item in enumerate(graph.output):
        if item.name in seen:
            own = f"{item.name}_passed_{place}"
            graph.node.append(helper.make_node("Identity", [item.name], [own]))
            item.name = own
        seen.add(item.name)


def _names(graph: Any) -> Iterator[str]:
    for item in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield item.name
    for node in graph.node:
        yield from (*node.input, *node.output)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for part in graphs(graph):
        for item in (*part.input, *part.output, *part.initializer, *part.value_info):
            item.name = names.get(item.name, item.name)
        for node in part.node:
            for values in (node.input, node.output):
                values[:] = [names.get(name, name) for name in values]


def _weight_share(graph: Any) -> float:
    from onnx import TensorProto

    parts = list(graphs(graph))
    recurrent = [node for part in parts for node in part.node if node.op_type in _RECURRENT]
    besides = {name for node in recurrent for name in node.input[3:]}
    matrices = [item for part in parts for item in part.initializer if len(item.dims) >= MATRIX]
    weights = [item for item in matrices if item.name not in besides and not item.name.endswith(SCALES)]
    total = sum(prod(item.dims) for item in weights)
    left = sum(prod(item.dims) for item in weights if item.data_type == TensorProto.FLOAT)
    return 1 - left / total if total else 0.0


def _operator_share(graph: Any) -> float:
    nodes = [node for part in graphs(graph) for node in part.node]
    dequantized = {name for node in nodes if node.op_type == "DequantizeLinear" for name in node.output}
    floats = [node for node in nodes if node.op_type in _FLOATS]
    integer = sum(node.input[0] in dequantized for node in floats)
    native = sum(node.op_type in _INTEGERS for node in nodes)
    return (integer + native) / max(1, len(floats) + native)
