"""An .onnx file in ONNX Runtime: its CPU provider takes every operator it loads; what computes in float is told."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, Final

from edgekit.artifact import Artifact
from edgekit.placement import Placement, Step, grouped, peak_bytes
from edgekit.plan import CALIBRATED

_COMPUTE: Final = {"Conv", "ConvTranspose", "MatMul", "Gemm"}
"""Operators whose arithmetic int8 is for."""

_DEQUANTIZE: Final = "DequantizeLinear"


def look(artifact: Artifact) -> Placement:
    """See `edgekit.placement.Placer`."""
    if artifact.model.suffix != ".onnx":  # ONNX Runtime's own file, which its library alone reads
        return Placement(engine="CPUExecutionProvider")
    import onnx

    model = onnx.load(artifact.model)
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    quantized = artifact.manifest.precision in CALIBRATED
    return Placement(
        engine="CPUExecutionProvider",
        operators=len(nodes),
        taken=len(nodes),
        fallbacks=grouped(_in_float(nodes) if quantized else ()),
        activation_bytes=_activations(model),
    )


def _in_float(nodes: list[Any]) -> Iterator[tuple[str, str, str]]:
    real = {name for node in nodes if node.op_type == _DEQUANTIZE for name in node.output}
    for node in nodes:
        if node.op_type in _COMPUTE and node.input[0] not in real:
            yield node.op_type, node.name or node.output[0], "in float"


def _activations(model: Any) -> int | None:
    """None where a shape is not known."""
    import onnx
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    known = [*graph.value_info, *graph.input, *graph.output]
    sizes = {item.name: _bytes(item.type.tensor_type, onnx) for item in known}
    steps = [Step(node.op_type, tuple(node.input), tuple(node.output)) for node in graph.node]
    made = {name for step in steps for name in step.outputs if name}
    if any(sizes.get(name) is None for name in made):
        return None
    constants = {item.name for item in graph.initializer}
    inner = {name: size for name, size in sizes.items() if size is not None and name not in constants}
    return peak_bytes(steps, inner, [item.name for item in graph.output])


def _bytes(tensor: Any, onnx: Any) -> int | None:
    """The size of a tensor whose free first dimension is one sample; None where another is free."""
    if not tensor.HasField("shape"):
        return None
    dims = [dim.dim_value or (1 if place == 0 else 0) for place, dim in enumerate(tensor.shape.dim)]
    if 0 in dims:
        return None
    return prod(dims) * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize)


def users(model: Path, operator: str) -> tuple[str, ...]:
    """The layers that use an operator."""
    import onnx

    nodes = onnx.load(model, load_external_data=False).graph.node
    return tuple(node.name or node.output[0] for node in nodes if node.op_type == operator)
