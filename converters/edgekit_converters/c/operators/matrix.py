"""Operators with weights: convolutions and fully connected layers."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from edgekit_converters.c.fixed_point import clamp_int8, clamp_real, quantize_multiplier
from edgekit_converters.c.graph import Node, Tensor, refusal
from edgekit_converters.c.layer import Call, Constant, Field, Layer, Lowering, kind_of
from edgekit_converters.c.operators.window import window


def _convolution(node: Node) -> Layer:
    source, weights, output = node.input(0), node.input(1), node.outputs[0]
    kind = _check(node, source, weights, output)
    channels, height, width, depth = weights.shape
    if source.shape[3] % depth or channels % (source.shape[3] // depth):
        raise refusal(node, "its groups do not divide its channels")
    place = window(node, (height, width))
    return Layer(
        node=node,
        calls=(_call(node, f"conv2d_{kind}", {"window": place, "depth": depth}, channels),),
        macs=output.elements * height * width * depth,
    )


def _depthwise(node: Node) -> Layer:
    source, weights, output = node.input(0), node.input(1), node.outputs[0]
    kind = _check(node, source, weights, output)
    _, height, width, channels = weights.shape
    place = window(node, (height, width))
    return Layer(
        node=node,
        calls=(
            _call(node, f"depthwise_{kind}", {"window": place, "multiplier": channels // source.shape[3]}, channels),
        ),
        macs=output.elements * height * width,
        # Without padding and with one output a channel what is written was read before, or never will be.
        in_place=(source,) if channels == source.shape[3] and not (place["pad_top"] or place["pad_left"]) else (),
    )


def _fully_connected(node: Node) -> Layer:
    source, weights, output = node.input(0), node.input(1), node.outputs[0]
    kind = _check(node, source, weights, output)
    if node.options.get("weightsFormat", 0):
        raise refusal(node, "its weights are shuffled")
    outputs, inputs = weights.shape
    rows = output.elements // outputs
    fields: dict[str, Field] = {"rows": rows, "inputs": inputs, "outputs": outputs}
    if kind == "int8":
        fields["weight_offset"] = -weights.zero_point[0]
    return Layer(
        node=node,
        calls=(_call(node, f"fully_connected_{kind}", fields, outputs),),
        macs=rows * inputs * outputs,
    )


def _check(node: Node, source: Tensor, weights: Tensor, output: Tensor) -> str:
    node.constant(1)
    if node.optional(2) is not None:
        node.constant(2)
    return kind_of(node, source, weights, output)


def _call(node: Node, kernel: str, fields: dict[str, Field], channels: int) -> Call:
    """The call with what all kernels with weights are given: activation range, weights, bias, scaling."""
    source, weights, bias, output = node.input(0), node.input(1), node.optional(2), node.outputs[0]
    read = (source, Constant.of("weights", weights), Constant.of("bias", bias))
    if kernel.endswith("f32"):
        low, high = clamp_real(node)
        return Call(kernel=kernel, fields=fields | {"low": low, "high": high}, arguments=read, output=output)
    if bias is not None and bias.dtype != "int32":
        raise refusal(node, f"its bias is {bias.dtype}, not int32")
    least, most = clamp_int8(node, output)
    offsets = {"input_offset": -source.zero_point[0], "output_offset": output.zero_point[0]}
    scaling = [quantize_multiplier(scale) for scale in _scales(node, source, weights, output, channels)]
    mantissas, shifts = (np.array(part) for part in zip(*scaling, strict=True))
    return Call(
        kernel=kernel,
        fields=fields | offsets | {"low": least, "high": most},
        arguments=(
            *read,
            Constant(label="multiplier", values=mantissas.astype(np.int32)),
            Constant(label="shift", values=shifts.astype(np.int8)),
        ),
        output=output,
    )


def _scales(node: Node, source: Tensor, weights: Tensor, output: Tensor, channels: int) -> list[float]:
    """The real factor between sums and stored outputs, a channel.

    A fully connected layer with one scale multiplies the scales in float32, all others in double.
    """
    scales = np.array(weights.scale, np.float32)
    if len(scales) not in {1, channels}:
        raise refusal(node, f"it has {len(scales)} scales for {channels} channels")
    if node.op == "FULLY_CONNECTED" and len(scales) == 1:
        product = (np.float32(source.scale[0]) * scales).astype(np.float64)
    else:
        product = float(np.float32(source.scale[0])) * scales.astype(np.float64)
    return [float(item) for item in np.broadcast_to(product / float(np.float32(output.scale[0])), channels)]


LOWERINGS: Final[Mapping[str, Lowering]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
}
