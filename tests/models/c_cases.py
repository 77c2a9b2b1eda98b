"""Small networks of every kind that format c compiles, as TFLite files; each takes the writer and gives its outputs."""

from collections.abc import Callable, Sequence

import numpy as np

from models.graph import NONE, RELU, RELU6, SAME, VALID, GraphWriter

Case = Callable[[GraphWriter], Sequence[int]]


def dense(net: GraphWriter) -> Sequence[int]:
    """Two fully connected layers, one scale and one a channel, and a softmax."""
    x = net.input(2, 37)
    x = net.weighted("FULLY_CONNECTED", x, (20, 37), (2, 20), 20, fusedActivationFunction=RELU, per_channel=False)
    x = net.weighted("FULLY_CONNECTED", x, (10, 20), (2, 10), 10, bias=False, gain=0.06)
    return [_softmax(net, x)]


def convolution(net: GraphWriter) -> Sequence[int]:
    """Strides, padding on one side only, dilation, groups."""
    x = net.input(1, 11, 9, 3)
    x = _conv(net, x, 8, kernel=(3, 3), out=(6, 5), stride=2, padding=SAME, activation=RELU)
    x = _conv(net, x, 6, kernel=(3, 2), out=(6, 5), dilation=2, padding=SAME, activation=RELU6)
    x = _conv(net, x, 4, kernel=(2, 2), out=(5, 4), padding=VALID, groups=2)
    return [_conv(net, x, 5, kernel=(1, 1), out=(5, 4), padding=VALID)]


def separable(net: GraphWriter) -> Sequence[int]:
    """Depthwise and pointwise, with two outputs a channel, and the mean over the image."""
    x = net.input(1, 10, 10, 3)
    x = _depthwise(net, x, multiplier=2, kernel=3, out=(5, 5), stride=2, padding=SAME, activation=RELU6)
    x = _conv(net, x, 8, kernel=(1, 1), out=(5, 5), padding=VALID, activation=RELU)
    x = _depthwise(net, x, multiplier=1, kernel=2, out=(4, 4), padding=VALID, activation=NONE)
    x = net.op("MEAN", [x, net.integers(1, 2)], net.computed((1, 8), 0.9 * _scale(net, x), -7))
    x = net.weighted("FULLY_CONNECTED", x, (4, 8), (1, 4), 4, gain=0.05)
    return [_softmax(net, x)]


def residual(net: GraphWriter) -> Sequence[int]:
    """A sum that an input is needed for long after, then a difference and a product that stretch one side."""
    x = net.input(1, 6, 6, 4)
    y = _conv(net, x, 4, kernel=(3, 3), out=(6, 6), padding=SAME, activation=RELU)
    y = _conv(net, y, 4, kernel=(3, 3), out=(6, 6), padding=SAME)
    scale = _scale(net, y)
    total = net.op("ADD", [x, y], net.computed((1, 6, 6, 4), scale * 1.1, -20), fusedActivationFunction=RELU)
    means = net.op("MEAN", [total, net.integers(1, 2)], net.computed((1, 1, 1, 4), scale, 4), keepDims=True)
    left = net.op("SUB", [total, means], net.computed((1, 6, 6, 4), scale * 1.3, 9), fusedActivationFunction=NONE)
    out = net.computed((1, 6, 6, 4), scale * 5, -3)
    return [net.op("MUL", [left, means], out, fusedActivationFunction=NONE), total]


def pooling(net: GraphWriter) -> Sequence[int]:
    """Both pools, with and without padding, over one another."""
    x = net.input(2, 9, 9, 5)
    x = _pool(net, x, "MAX_POOL_2D", size=3, stride=2, out=(5, 5), padding=SAME)
    x = _pool(net, x, "AVERAGE_POOL_2D", size=2, stride=1, out=(5, 5), padding=SAME, activation=RELU)
    x = _pool(net, x, "AVERAGE_POOL_2D", size=2, stride=2, out=(2, 2), padding=VALID)
    return [_pool(net, x, "MAX_POOL_2D", size=2, stride=2, out=(1, 1), padding=VALID)]


def concat(net: GraphWriter) -> Sequence[int]:
    """Branches of equal scale side by side along the channels, then along the rows."""
    x = net.input(1, 5, 5, 4)
    a = _pool(net, x, "MAX_POOL_2D", size=3, stride=1, out=(5, 5), padding=SAME)
    b = _pool(net, x, "AVERAGE_POOL_2D", size=3, stride=1, out=(5, 5), padding=SAME)
    wide = net.op("CONCATENATION", [a, x, b], net.like(x, (1, 5, 5, 12)), axis=-1)
    y = net.op("CONCATENATION", [wide, wide], net.like(x, (1, 10, 5, 12)), axis=1)
    return [_conv(net, y, 3, kernel=(1, 1), out=(10, 5), padding=VALID)]


def activations(net: GraphWriter) -> Sequence[int]:
    """Every function of one element, and the way from one scale to another."""
    x = net.input(1, 64, scale=0.11, zero_point=-9)
    found = []
    for name, scale, zero in (("LOGISTIC", 1 / 256, -128), ("TANH", 1 / 128, 0), ("RELU", 0.06, -128)):
        found.append(net.op(name, [x], net.computed((1, 64), scale, zero)))
    found.append(net.op("RELU6", [x], net.computed((1, 64), 6 / 255, -128)))
    if net.dtype == "int8":
        found.append(net.op("QUANTIZE", [x], net.computed((1, 64), 0.13, 17)))
    return found


def movement(net: GraphWriter) -> Sequence[int]:
    """Everything that only moves elements."""
    x = net.input(1, 6, 8, 4)
    turned = net.op("TRANSPOSE", [x, net.integers(0, 2, 1, 3)], net.like(x, (1, 8, 6, 4)))
    paddings = net.tensor((4, 2), np.array([(0, 0), (1, 0), (0, 2), (0, 0)], np.int32))
    padded = net.op("PAD", [turned, paddings], net.like(x, (1, 9, 8, 4)))
    halves = [net.like(x, (1, 9, 8, 2)), net.like(x, (1, 9, 8, 2))]
    net.op("SPLIT", [net.integers(3), padded], halves, numSplits=2)
    ends = [net.integers(0, 8, 0, 0), net.integers(1, 0, 8, 2), net.integers(1, -3, 2, 1)]
    sliced = net.op("STRIDED_SLICE", [halves[0], *ends], net.like(x, (3, 4, 2)), shrinkAxisMask=1, endMask=2)
    grown = net.op("EXPAND_DIMS", [sliced, net.integers(0)], net.like(x, (1, 3, 4, 2)))
    sizes = net.integers(7, 5)
    wide = net.op("RESIZE_NEAREST_NEIGHBOR", [grown, sizes], net.like(x, (1, 7, 5, 2)), halfPixelCenters=True)
    corner = net.op("RESIZE_NEAREST_NEIGHBOR", [grown, sizes], net.like(x, (1, 7, 5, 2)), alignCorners=True)
    flat = net.op("RESHAPE", [wide, net.integers(1, 70)], net.like(x, (1, 70)), newShape=[1, 70])
    thin = net.op("SQUEEZE", [corner], net.like(x, (7, 5, 2)), squeezeDims=[0])
    return [flat, thin, halves[1]]


CASES: dict[str, Case] = {
    case.__name__: case for case in (dense, convolution, separable, residual, pooling, concat, activations, movement)
}


def case_file(name: str, dtype: str) -> bytes:
    """The TFLite file of a case, `int8` or `float32`."""
    net = GraphWriter("int8" if dtype == "int8" else "float32")
    return net.file(*CASES[name](net))


def _scale(net: GraphWriter, tensor: int) -> float:
    scale = net._tensors[tensor]["scale"]
    return float(scale[0]) if scale else 1.0


def _softmax(net: GraphWriter, source: int) -> int:
    return net.op("SOFTMAX", [source], net.computed(net.shape(source), 1 / 256, -128), beta=1.0)


def _pool(
    net: GraphWriter,
    source: int,
    name: str,
    *,
    size: int,
    stride: int,
    out: tuple[int, int],
    padding: int,
    activation: int = NONE,
) -> int:
    shape = net.shape(source)
    return net.op(
        name, [source], net.like(source, (shape[0], *out, shape[3])), filterHeight=size, filterWidth=size,
        strideH=stride, strideW=stride, padding=padding, fusedActivationFunction=activation,
    )  # fmt: skip


def _conv(
    net: GraphWriter,
    source: int,
    channels: int,
    *,
    kernel: tuple[int, int],
    out: tuple[int, int],
    padding: int,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: int = NONE,
) -> int:
    shape = net.shape(source)
    return net.weighted(
        "CONV_2D", source, (channels, *kernel, shape[3] // groups), (shape[0], *out, channels), channels,
        strideH=stride, strideW=stride, dilationHFactor=dilation, dilationWFactor=dilation, padding=padding,
        fusedActivationFunction=activation,
    )  # fmt: skip


def _depthwise(
    net: GraphWriter,
    source: int,
    *,
    multiplier: int,
    kernel: int,
    out: tuple[int, int],
    padding: int,
    activation: int,
    stride: int = 1,
) -> int:
    shape = net.shape(source)
    channels = shape[3] * multiplier
    return net.weighted(
        "DEPTHWISE_CONV_2D", source, (1, kernel, kernel, channels), (shape[0], *out, channels), channels, axis=3,
        strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1, depthMultiplier=multiplier,
        padding=padding, fusedActivationFunction=activation,
    )  # fmt: skip
