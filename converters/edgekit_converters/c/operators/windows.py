"""Pools, and the mean over axes."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from edgekit_converters.c.fixed_point import clamp_int8, clamp_real, quantize_multiplier
from edgekit_converters.c.graph import Node, refusal
from edgekit_converters.c.layer import Call, Field, Layer, Lowering, kind_of
from edgekit_converters.c.operators.window import window


def _pool(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    kind = kind_of(node, source, output)
    if kind == "int8" and (source.scale, source.zero_point) != (output.scale, output.zero_point):
        raise refusal(node, "its input and output have different scales")
    place = window(node, (int(node.options["filterHeight"]), int(node.options["filterWidth"])))
    low, high = clamp_int8(node, output) if kind == "int8" else clamp_real(node)
    name = "average_pool" if node.op == "AVERAGE_POOL_2D" else "max_pool"
    return Layer(
        node=node,
        calls=(
            Call(
                kernel=f"{name}_{kind}",
                fields={"window": place, "low": low, "high": high},
                arguments=(source,),
                output=output,
            ),
        ),
        in_place=(source,) if not (place["pad_top"] or place["pad_left"]) else (),
    )


def _mean(node: Node) -> Layer:
    """The mean over axes that lie side by side: the input as outer x reduced x inner."""
    source, output = node.input(0), node.outputs[0]
    kind = kind_of(node, source, output)
    axes = sorted({int(axis) % len(source.shape) for axis in np.ravel(node.constant(1))})
    axes = [axis for axis in range(len(source.shape)) if axis in axes or _lone(source.shape, axes, axis)]
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise refusal(node, "its axes do not lie side by side")
    outer, reduced, inner = (
        int(np.prod(part, dtype=np.int64))
        for part in (source.shape[: axes[0]], source.shape[axes[0] : axes[-1] + 1], source.shape[axes[-1] + 1 :])
    )
    fields: dict[str, Field] = {"outer": outer, "reduced": reduced, "inner": inner}
    if kind == "int8":
        fields |= _mean_scaling(reduced, source.scale[0], output.scale[0]) | {
            "input_offset": -source.zero_point[0] * reduced,
            "output_offset": output.zero_point[0],
        }
    call = Call(kernel=f"mean_{kind}", fields=fields, arguments=(source,), output=output)
    return Layer(node=node, calls=(call,))


def _lone(shape: tuple[int, ...], axes: list[int], axis: int) -> bool:
    """Whether an axis of one element lies between two that are reduced: reducing it changes nothing."""
    return shape[axis] == 1 and axes[0] < axis < axes[-1]


def _mean_scaling(reduced: int, source: float, output: float) -> dict[str, int]:
    """The factor of the sum, one over the count folded into its mantissa (`QuantizedMeanOrSum` of the reference)."""
    mantissa, shift = quantize_multiplier(float(np.float32(source)) / float(np.float32(output)))
    extra = min(reduced.bit_length() - 1, 32, 31 + shift)
    return {"multiplier": (mantissa << extra) // reduced, "shift": shift - extra}


LOWERINGS: Final[Mapping[str, Lowering]] = {
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
}
