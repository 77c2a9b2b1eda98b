"""Bring an ONNX graph into what onnx2torch knows, without a change of what it computes."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_OPSET: Final = 17
"""The newest whose operators onnx2torch knows widely; newer ones give axes as inputs, which it refuses."""


_LEAST_RANK: Final = 3
"""onnx2torch pads by reflection what has a batch and channels."""


_OLDEST: Final = 13
"""The oldest whose Squeeze takes its axes as an input."""


def known(model: Any) -> Any:
    """The same graph in an opset, and with attributes, that onnx2torch knows."""
    import onnx
    from onnx import version_converter

    opset = next((item.version for item in model.opset_import if not item.domain), _OPSET)
    copy = (
        version_converter.convert_version(model, min(max(opset, _OLDEST), _OPSET))
        if not _OLDEST <= opset <= _OPSET
        else onnx.ModelProto.FromString(model.SerializeToString())
    )
    _drop_allowzero(copy.graph)
    nodes = [part for node in copy.graph.node for part in _with_last_axis_padded(copy.graph, node)]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    _give_outputs_nodes(copy.graph)
    return copy


def simplified(model: Any) -> Any:
    """The same graph, its shapes fixed, as ONNX Runtime folds it: what depends on shapes alone is a constant.

    That takes the branches on shapes away which exporters leave.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "simplified.onnx")
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(str(file))


def _drop_allowzero(graph: Any) -> None:
    """It says what a zero in a shape means; shapes without one need none."""
    from onnx import numpy_helper

    shapes = {item.name: item for item in graph.initializer}
    for node in graph.node:
        shape = shapes.get(node.input[1]) if node.op_type == "Reshape" else None
        # A tensor that a model computes on has none.
        if node.op_type == "Reshape" and (shape is None or numpy_helper.to_array(shape).all()):
            kept = [item for item in node.attribute if item.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _with_last_axis_padded(graph: Any, node: Any) -> Iterator[Any]:
    """A padding by reflection, or by the edge, of an early axis: that axis moved to the end, padded, moved back."""
    from onnx import numpy_helper

    mode = next((item.s for item in node.attribute if item.name == "mode"), b"constant")
    amounts = next((item for item in graph.initializer if node.op_type == "Pad" and item.name == node.input[1]), None)
    if amounts is None or mode == b"constant":
        yield node
        return
    pads = numpy_helper.to_array(amounts).tolist()
    rank = len(pads) // 2
    axes = [axis for axis in range(rank) if pads[axis] or pads[axis + rank]]
    if all(axis > 1 for axis in axes):  # which onnx2torch takes: neither the batch nor the channels
        yield node
        return
    value = node.input[0]
    for place, axis in enumerate(axes):
        out = node.output[0] if place == len(axes) - 1 else f"{node.output[0]}_axis_{axis}"
        yield from _padded(graph, node, value, out, (axis, rank, pads[axis], pads[axis + rank]))
        value = out


def _padded(graph: Any, node: Any, value: str, out: str, what: tuple[int, int, int, int]) -> Iterator[Any]:
    """One axis: behind a batch and channels that are not padded, for which a matrix gets one axis more."""
    import numpy as np
    from onnx import helper, numpy_helper

    axis, rank, before, behind = what
    order = [*range(rank)]
    order[axis], order[-1] = order[-1], order[axis]  # its own inverse
    wide = max(rank, _LEAST_RANK)
    own = np.zeros(2 * wide, np.int64)
    own[wide - 1], own[-1] = before, behind
    graph.initializer.append(numpy_helper.from_array(own, f"{out}_pads"))
    graph.initializer.append(numpy_helper.from_array(np.arange(wide - rank, dtype=np.int64), f"{out}_axes"))
    taken = f"{out}_wide" if wide > rank else f"{out}_turned"
    padded = helper.make_node("Pad", [taken, f"{out}_pads"], [f"{out}_padded"], name=f"{out}_pad")
    padded.attribute.extend(node.attribute)
    yield helper.make_node("Transpose", [value], [f"{out}_turned"], perm=order)
    if wide > rank:
        yield helper.make_node("Unsqueeze", [f"{out}_turned", f"{out}_axes"], [f"{out}_wide"])
    yield padded
    if wide > rank:
        yield helper.make_node("Squeeze", [f"{out}_padded", f"{out}_axes"], [f"{out}_narrow"])
    yield helper.make_node("Transpose", [f"{out}_narrow" if wide > rank else f"{out}_padded"], [out], perm=order)


def _give_outputs_nodes(graph: Any) -> None:
    """A node of its own for each output that comes of a node with several: onnx2torch takes nodes for outputs."""
    from onnx import helper

    several: Sequence[str] = [name for node in graph.node if len(node.output) > 1 for name in node.output]
    for item in graph.output:
        if item.name in several:
            _rename(graph, item.name, f"{item.name}_of_several")
            graph.node.append(helper.make_node("Identity", [f"{item.name}_of_several"], [item.name]))


def _rename(graph: Any, name: str, new: str) -> None:
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [new if value == name else value for value in values]
