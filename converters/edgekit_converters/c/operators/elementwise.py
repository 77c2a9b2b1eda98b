"""Operators on one element at a time, of one input: a table of 256 results in int8, a function in float32."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from edgekit_converters.c.fixed_point import quantize_multiplier, requantize_table, stored_range, table
from edgekit_converters.c.graph import Array, Node, Tensor, refusal
from edgekit_converters.c.layer import Call, Constant, Field, Layer, Lowering, kind_of

_BYTES: Final = {"int8", "uint8"}

_RANGES: Final[dict[str, tuple[float | None, float | None]]] = {
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def _logistic(real: Array) -> Array:
    one = np.float32(1)
    return np.asarray(one / (one + np.exp(-real, dtype=np.float32)))


_FUNCTIONS: Final[dict[str, Callable[[Any], Array]]] = {"LOGISTIC": _logistic, "TANH": np.tanh}


def _function(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    if kind_of(node, source, output) == "int8":
        return _by_table(node, source, output, table(source, output, _FUNCTIONS[node.op]))
    return _each(node, f"{node.op.lower()}_f32", {})


def _clamp(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    low, high = _RANGES[node.op]
    if kind_of(node, source, output) == "int8":
        real = float(np.float32(source.scale[0]) / np.float32(output.scale[0]))
        return _by_table(
            node, source, output, requantize_table(source, output, real, stored_range((low, high), output))
        )
    most = float(np.finfo(np.float32).max)
    return _each(node, "clamp_f32", {"low": -most if low is None else low, "high": most if high is None else high})


def _quantize(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    if source.dtype in _BYTES and output.dtype in _BYTES:
        real = float(np.float32(source.scale[0])) / float(np.float32(output.scale[0]))
        return _by_table(node, source, output, requantize_table(source, output, real))
    if source.dtype != "float32" or output.dtype != "int8":
        raise refusal(node, f"there is no kernel from {source.dtype} to {output.dtype}")
    return _each(node, "quantize", {"scale": output.scale[0], "zero_point": output.zero_point[0]})


def _dequantize(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    if source.dtype != "int8" or output.dtype != "float32":
        raise refusal(node, f"there is no kernel from {source.dtype} to {output.dtype}")
    return _each(node, "dequantize", {"scale": source.scale[0], "zero_point": source.zero_point[0]})


def _softmax(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    kind, beta = kind_of(node, source, output), float(np.float32(node.options["beta"]))
    depth = source.shape[-1]
    fields: dict[str, Field] = {"rows": source.elements // depth, "depth": depth}
    if kind == "f32":
        return _each(node, "softmax_f32", fields | {"beta": beta}, counted=False)
    # The input's differences in 5 integer and 26 fractional bits (`PreprocessSoftmaxScaling` of the reference).
    scaled = min(beta * float(np.float32(source.scale[0])) * (1 << 26), float((1 << 31) - 1))
    multiplier, shift = quantize_multiplier(scaled)
    least = -int(31 * (1 << 26) / (1 << shift))
    scaling: dict[str, Field] = {"multiplier": multiplier, "shift": shift, "least": least}
    return _each(node, "softmax_int8", fields | scaling, counted=False)


def _by_table(node: Node, source: Tensor, output: Tensor, values: Array) -> Layer:
    call = Call(
        kernel="table",
        fields={"count": source.elements},
        arguments=(source, Constant(label="table", values=values)),
        output=output,
    )
    return Layer(node=node, calls=(call,), in_place=(source,))


def _each(node: Node, kernel: str, fields: dict[str, Field], *, counted: bool = True) -> Layer:
    source, output = node.input(0), node.outputs[0]
    count: dict[str, Field] = {"count": source.elements} if counted else {}
    call = Call(kernel=kernel, fields=count | fields, arguments=(source,), output=output)
    return Layer(node=node, calls=(call,), in_place=(source,))


LOWERINGS: Final[Mapping[str, Lowering]] = {
    **dict.fromkeys(_FUNCTIONS, _function),
    **dict.fromkeys(_RANGES, _clamp),
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "SOFTMAX": _softmax,
}
