"""The integer arithmetic of TFLite's kernels, as far as it is done before the model runs.

Sources: the TFLite 8-bit quantization specification, and the reference kernels of LiteRT
(`tflite/kernels/internal/quantization_util.cc`), which multiply by a 31-bit mantissa and a shift with two roundings.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from edgekit_converters.c.graph import Array, Node, Tensor, refusal

_MANTISSA: Final = 31
_LEAST_SHIFT: Final = -31
INT8: Final = (-128, 127)

_FUSED: Final[dict[int, tuple[float | None, float | None]]] = {
    0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0),
}  # fmt: skip
"""`ActivationFunctionType` of the schema: the range that a fused NONE, RELU, RELU_N1_TO_1 or RELU6 leaves."""


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A real factor as a mantissa of 31 bits and a shift: real = mantissa / 2^31 * 2^shift."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    mantissa = math.floor(fraction * (1 << _MANTISSA) + 0.5)
    if mantissa == 1 << _MANTISSA:
        mantissa, shift = mantissa // 2, shift + 1
    return (0, 0) if shift < _LEAST_SHIFT else (mantissa, shift)


def fused(node: Node) -> tuple[float | None, float | None]:
    """The real range that an operator's fused activation leaves; None where it is open.

    Raises:
        ConversionError: It is one that is no range (TANH, SIGN_BIT).
    """
    kind = int(node.options.get("fusedActivationFunction", 0))
    if kind not in _FUSED:
        raise refusal(node, "its fused activation is none of RELU, RELU6 and RELU_N1_TO_1")
    return _FUSED[kind]


def clamp_real(node: Node) -> tuple[float, float]:
    """The same for float32 kernels, every end closed."""
    low, high = fused(node)
    most = float(np.finfo(np.float32).max)
    return (-most if low is None else low, most if high is None else high)


def clamp_int8(node: Node, output: Tensor) -> tuple[int, int]:
    """The same in the output's integers."""
    return stored_range(fused(node), output)


def stored_range(real: tuple[float | None, float | None], output: Tensor) -> tuple[int, int]:
    """A real range in a tensor's integers."""
    low, high = real
    least, most = INT8
    if low is not None:
        least = max(least, stored(low, output))
    if high is not None:
        most = min(most, stored(high, output))
    return least, most


def stored(real: float, tensor: Tensor) -> int:
    """A real number in a tensor's integers, ties away from zero."""
    ratio = float(np.float32(real) / np.float32(tensor.scale[0]))
    return tensor.zero_point[0] + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))


def rescale(value: int, mantissa: int, shift: int) -> int:
    """Multiply by a quantized multiplier as the kernels do (gemmlowp): double high half, then divide, each rounded."""
    product = (value << max(shift, 0)) * mantissa
    high = (product + (1 << (_MANTISSA - 1))) >> _MANTISSA
    exponent = max(-shift, 0)
    mask = (1 << exponent) - 1
    return (high >> exponent) + int((high & mask) > (mask >> 1) + int(high < 0))


def table(source: Tensor, output: Tensor, function: Callable[[Any], Any]) -> Array:
    """What an elementwise function gives for each of the 256 stored values, in float32 as the reference computes it."""
    values = np.arange(*_span(source), dtype=np.int32)
    real = np.float32(source.scale[0]) * (values - source.zero_point[0]).astype(np.float32)
    scaled = function(real).astype(np.float32) * (np.float32(1) / np.float32(output.scale[0]))
    rounded = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)
    found = (rounded + np.float32(output.zero_point[0])).astype(np.int64)
    return by_byte(values, np.clip(found, *_edges(output)), source, output)


def requantize_table(source: Tensor, output: Tensor, real: float, clamp: tuple[int, int] | None = None) -> Array:
    """What rescaling by a real factor and clamping gives for each of the 256 stored values."""
    mantissa, shift = quantize_multiplier(real)
    values = np.arange(*_span(source), dtype=np.int32)
    found = [rescale(int(value) - source.zero_point[0], mantissa, shift) + output.zero_point[0] for value in values]
    return by_byte(values, np.clip(found, *(clamp or _edges(output))), source, output)


def by_byte(values: Array, found: Array, source: Tensor, output: Tensor) -> Array:
    """The results in the order of the stored values' bytes."""
    places = values.astype(source.dtype).view(np.uint8)
    result = np.zeros(256, np.uint8)
    result[places] = found.astype(output.dtype).view(np.uint8)
    return result


def _edges(tensor: Tensor) -> tuple[int, int]:
    least, behind = _span(tensor)
    return least, behind - 1


def _span(tensor: Tensor) -> tuple[int, int]:
    bounds = np.iinfo(tensor.dtype)
    return int(bounds.min), int(bounds.max) + 1
