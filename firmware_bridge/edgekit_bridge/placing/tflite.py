"""A .tflite file in LiteRT: what XNNPACK takes, what computes in float, and whether a microcontroller could run it."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.artifact import Artifact
from edgekit.layers import short_name
from edgekit.placement import Placement, Step, grouped, peak_bytes
from edgekit.plan import CALIBRATED
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.typed import typed_errors
from edgekit_bridge.placing.microcontroller import ask_tflite_micro

_COMPUTE: Final = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"}
"""Operators whose arithmetic int8 is for."""

_DELEGATE: Final = "DELEGATE"


def look(artifact: Artifact) -> Placement:
    """See `edgekit.placement.Placer`."""
    inputs, outputs = msgspec.to_builtins((artifact.manifest.signature.inputs, artifact.manifest.signature.outputs))
    with typed_errors():
        model = on_device.TfliteModel(str(artifact.model), inputs, outputs, threads=1, engine="", delegate="default")
    held: Any = model._interpreter  # noqa: SLF001 - this package's own
    nodes = list(held._get_ops_details())  # noqa: SLF001 - there is no public way
    plain = [node for node in nodes if node["op_name"] != _DELEGATE]
    parts = [node for node in nodes if node["op_name"] == _DELEGATE]
    taken = set(on_device.delegated(parts, plain))
    tensors = {int(item["index"]): item for item in held.get_tensor_details()}
    left = [node for node in plain if node["index"] not in taken]
    quantized = artifact.manifest.precision in CALIBRATED
    found = [*_not_taken(left, tensors), *(_in_float(plain, tensors) if quantized else ())]
    return Placement(
        engine="XNNPACK",
        operators=len(plain),
        taken=len(taken),
        fallbacks=grouped(found),
        activation_bytes=_activations(held, plain, tensors),
        microcontroller=ask_tflite_micro(artifact.model),
    )


def _not_taken(nodes: list[Any], tensors: dict[int, Any]) -> Iterator[tuple[str, str, str]]:
    for node in nodes:
        yield node["op_name"], _layer(node, tensors), "built-in kernel, not XNNPACK"


def _in_float(nodes: list[Any], tensors: dict[int, Any]) -> Iterator[tuple[str, str, str]]:
    for node in nodes:
        first = tensors.get(int(node["inputs"][0])) if len(node["inputs"]) else None
        if node["op_name"] in _COMPUTE and first is not None and np.dtype(first["dtype"]).kind == "f":
            yield node["op_name"], _layer(node, tensors), "in float"


def _layer(node: Any, tensors: dict[int, Any]) -> str:
    made = [tensors[int(index)]["name"] for index in node["outputs"] if int(index) in tensors]
    return short_name(made[0]) if made else f"operator {node['index']}"


def _activations(held: Any, nodes: list[Any], tensors: dict[int, Any]) -> int:
    steps = [Step(node["op_name"], _names(node["inputs"]), _names(node["outputs"])) for node in nodes]
    made = {name for step in steps for name in step.outputs}
    made |= {str(int(item["index"])) for item in held.get_input_details()}
    sizes = {
        str(index): prod(int(size) for size in item["shape"]) * np.dtype(item["dtype"]).itemsize
        for index, item in tensors.items()
        if str(index) in made
    }
    return peak_bytes(steps, sizes, [str(int(item["index"])) for item in held.get_output_details()])


def _names(indices: Any) -> tuple[str, ...]:
    return tuple(str(int(index)) for index in indices)


def users(model: Path, operator: str) -> tuple[str, ...]:
    """The layers that use an operator, read off the file itself: no runtime can load it."""
    from ai_edge_litert import schema_py_generated as schema

    held = schema.Model.GetRootAs(model.read_bytes())
    code = getattr(schema.BuiltinOperator, operator, None)
    graph = held.Subgraphs(0)
    names = []
    for place in range(graph.OperatorsLength()):
        node = graph.Operators(place)
        kind = held.OperatorCodes(node.OpcodeIndex())
        if max(kind.BuiltinCode(), kind.DeprecatedBuiltinCode()) == code and node.OutputsLength():
            names.append(short_name(graph.Tensors(node.Outputs(0)).Name().decode("utf-8", "replace")))
    return tuple(dict.fromkeys(names))
