"""Operators that move elements and compute nothing: all but one are copies with a step a dimension."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from edgekit_converters.c.graph import Array, Node, Tensor, refusal
from edgekit_converters.c.layer import Call, Constant, Layer, Lowering

RANK: Final = 6
"""How many dimensions the copying kernel loops over."""


def _same(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    if source.bytes != output.bytes:
        raise refusal(node, "its output has another size than its input")
    if source.value is not None:
        return Layer(node=node, calls=(_copy(node, source, output, [source.elements], [1], [1]),))
    return Layer(node=node, calls=(), same=source)


def _transpose(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    order = [int(axis) for axis in np.ravel(node.constant(1))]
    steps = _steps(source.shape)
    moved = [steps[axis] for axis in order]
    return Layer(node=node, calls=(_copy(node, source, output, output.shape, moved, _steps(output.shape)),))


def _concatenation(node: Node) -> Layer:
    output = node.outputs[0]
    axis = int(node.options["axis"]) % len(output.shape)
    if int(node.options.get("fusedActivationFunction", 0)):
        raise refusal(node, "it has a fused activation")
    steps, calls, at = _steps(output.shape), [], 0
    for place in range(len(node.inputs)):
        source = node.input(place)
        if source.dtype == "int8" and (source.scale, source.zero_point) != (output.scale, output.zero_point):
            raise refusal(node, "its inputs have other scales than its output")
        calls.append(_copy(node, source, output, source.shape, _steps(source.shape), steps, to=at * steps[axis]))
        at += source.shape[axis]
    return Layer(node=node, calls=tuple(calls))


def _split(node: Node) -> Layer:
    """SPLIT has its axis in front, SPLIT_V behind the sizes."""
    first = node.op == "SPLIT"
    source = node.input(1 if first else 0)
    axis = int(np.ravel(node.constant(0 if first else 2))[0]) % len(source.shape)
    steps, calls, at = _steps(source.shape), [], 0
    for output in node.outputs:
        calls.append(_copy(node, source, output, output.shape, steps, _steps(output.shape), start=at * steps[axis]))
        at += output.shape[axis]
    return Layer(node=node, calls=tuple(calls))


def _strided_slice(node: Node) -> Layer:
    source, output, options = node.input(0), node.outputs[0], node.options
    if options.get("ellipsisMask") or options.get("newAxisMask") or options.get("offset"):
        raise refusal(node, "its ellipsis, new axes or offset are not computed")
    parts = [_part(node, axis, size) for axis, size in enumerate(source.shape)]
    steps = _steps(source.shape)
    sizes = [len(part) for part in parts]
    moves = [part.step * step for part, step in zip(parts, steps, strict=True)]
    start = sum(part.start * step for part, step in zip(parts, steps, strict=True))
    return Layer(node=node, calls=(_copy(node, source, output, sizes, moves, _steps(sizes), start=start),))


def _part(node: Node, axis: int, size: int) -> range:
    """The places along an axis that a strided slice takes (as NumPy's slices; an axis to shrink takes one)."""
    begin, end, stride = ([int(item) for item in np.ravel(node.constant(place))] for place in (1, 2, 3))
    if axis >= len(begin):
        return range(size)
    bit, step = 1 << axis, stride[axis]
    if int(node.options.get("shrinkAxisMask", 0)) & bit:
        at = begin[axis] % size
        return range(at, at + 1)
    first = None if int(node.options.get("beginMask", 0)) & bit else begin[axis]
    last = None if int(node.options.get("endMask", 0)) & bit else end[axis]
    return range(size)[slice(first, last, step)]


def _slice(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    begin, steps = [int(item) for item in np.ravel(node.constant(1))], _steps(source.shape)
    start = sum(at * step for at, step in zip(begin, steps, strict=True))
    return Layer(
        node=node, calls=(_copy(node, source, output, output.shape, steps, _steps(output.shape), start=start),)
    )


def _pad(node: Node) -> Layer:
    source, output = node.input(0), node.outputs[0]
    before = [int(pair[0]) for pair in np.reshape(node.constant(1), (-1, 2))]
    steps = _steps(output.shape)
    fill = Call(
        kernel="fill",
        fields={"count": output.elements, "bytes": _width(output)},
        arguments=(Constant(label="fill", values=_filling(node, output)),),
        output=output,
    )
    to = sum(at * step for at, step in zip(before, steps, strict=True))
    return Layer(node=node, calls=(fill, _copy(node, source, output, source.shape, _steps(source.shape), steps, to=to)))


def _filling(node: Node, output: Tensor) -> Array:
    """The bytes of the element that is padded with: the third input, else the stored zero."""
    if node.op == "PADV2":
        element = np.ravel(node.constant(2))[:1]
    else:
        element = np.array([output.zero_point[0] if output.scale else 0], output.dtype)
    return np.frombuffer(element.astype(output.dtype).tobytes(), np.uint8)


def _resize(node: Node) -> Layer:
    """Rows and columns are chosen here, in float32 as the reference chooses them."""
    source, output = node.input(0), node.outputs[0]
    (_, in_height, in_width, channels), (batches, height, width, _) = source.shape, output.shape
    rows, columns = _nearest(node, in_height, height), _nearest(node, in_width, width)
    call = Call(
        kernel="resize_nearest",
        fields={
            "batches": batches, "in_height": in_height, "in_width": in_width, "height": height, "width": width,
            "bytes": channels * _width(source),
        },
        arguments=(source, Constant(label="rows", values=rows), Constant(label="columns", values=columns)),
        output=output,
    )  # fmt: skip
    return Layer(node=node, calls=(call,))


def _nearest(node: Node, size: int, wanted: int) -> Array:
    corners, centers = bool(node.options.get("alignCorners")), bool(node.options.get("halfPixelCenters"))
    f32 = np.float32
    scale = f32(size - 1) / f32(wanted - 1) if corners and wanted > 1 else f32(size) / f32(wanted)
    at = (np.arange(wanted, dtype=f32) + f32(0.5 if centers else 0)) * scale
    found = np.floor(at + f32(0.5)) if corners else np.floor(at)
    return np.asarray(np.clip(found, 0, size - 1), np.uint16)


def _copy(  # noqa: PLR0917 - from where, to where, and the three lists that go together
    node: Node,
    source: Tensor,
    output: Tensor,
    sizes: Sequence[int],
    from_steps: Sequence[int],
    to_steps: Sequence[int],
    *,
    start: int = 0,
    to: int = 0,
) -> Call:
    """A copy with a step a dimension, in elements; dimensions that follow each other in both are made one."""
    if source.dtype != output.dtype:
        raise refusal(node, f"it makes {output.dtype} of {source.dtype}")
    merged: list[tuple[int, int, int]] = []
    for size, step, goal in zip(sizes, from_steps, to_steps, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1:] == (size * step, size * goal):
            merged[-1] = (merged[-1][0] * size, step, goal)
        else:
            merged.append((size, step, goal))
    width = _width(source)
    run = merged.pop()[0] if merged and merged[-1][1:] == (1, 1) else 1
    if len(merged) > RANK:
        raise refusal(node, f"it moves along more than {RANK} dimensions")
    padded = [(1, 0, 0)] * (RANK - len(merged)) + [(size, step * width, goal * width) for size, step, goal in merged]
    found = tuple(tuple(part) for part in zip(*padded, strict=True))
    return Call(
        kernel="copy",
        fields={
            "sizes": found[0], "from_steps": found[1], "to_steps": found[2],
            "from": start * width, "to": to * width, "bytes": run * width,
        },
        arguments=(source,), output=output,
    )  # fmt: skip


def _steps(shape: Sequence[int]) -> list[int]:
    """How far apart neighbours along each axis lie, elements."""
    return [int(np.prod(shape[place + 1 :], dtype=np.int64)) for place in range(len(shape))]


def _width(tensor: Tensor) -> int:
    return np.dtype(tensor.dtype).itemsize


LOWERINGS: Final[Mapping[str, Lowering]] = {
    "RESHAPE": _same,
    "SQUEEZE": _same,
    "EXPAND_DIMS": _same,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "PAD": _pad,
    "PADV2": _pad,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
}
