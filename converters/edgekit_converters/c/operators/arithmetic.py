"""Sums, differences and products of two tensors, one of which may be stretched over the other."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from edgekit_converters.c.fixed_point import clamp_int8, clamp_real, quantize_multiplier
from edgekit_converters.c.graph import Node, Tensor, refusal
from edgekit_converters.c.layer import Call, Field, Layer, Lowering, kind_of

RANK: Final = 4
"""How many dimensions the kernel loops over, after those that can be one have been made one."""

_LEFT_SHIFT: Final = 20
"""Inputs are scaled up by this many bits before they are brought to one scale (the reference's choice for int8)."""


def _binary(node: Node) -> Layer:
    a, b, output = node.input(0), node.input(1), node.outputs[0]
    kind = kind_of(node, a, b, output)
    fields: dict[str, Field] = dict(_steps(node, a, b, output))
    name = node.op.lower()
    if kind == "f32":
        low, high = clamp_real(node)
        fields |= {"low": low, "high": high}
    else:
        low_stored, high_stored = clamp_int8(node, output)
        scaling = _product(a, b, output) if node.op == "MUL" else _sum(node, a, b, output)
        name = "mul" if node.op == "MUL" else "add"
        fields |= scaling | {
            "a_offset": -a.zero_point[0], "b_offset": -b.zero_point[0], "output_offset": output.zero_point[0],
            "low": low_stored, "high": high_stored,
        }  # fmt: skip
    call = Call(kernel=f"{name}_{kind}", fields=fields, arguments=(a, b), output=output)
    return Layer(node=node, calls=(call,), in_place=tuple(item for item in (a, b) if item.shape == output.shape))


def _sum(node: Node, a: Tensor, b: Tensor, output: Tensor) -> dict[str, Field]:
    """Both inputs to half of twice the larger scale; a difference has b's factor negative."""
    scales = [float(np.float32(tensor.scale[0])) for tensor in (a, b, output)]
    twice = 2 * max(scales[0], scales[1])
    (a_multiplier, a_shift), (b_multiplier, b_shift) = (quantize_multiplier(scale / twice) for scale in scales[:2])
    multiplier, shift = quantize_multiplier(twice / ((1 << _LEFT_SHIFT) * scales[2]))
    return {
        "a_multiplier": a_multiplier, "a_shift": a_shift, "b_multiplier": b_multiplier, "b_shift": b_shift,
        "sign": -1 if node.op == "SUB" else 1, "multiplier": multiplier, "shift": shift,
    }  # fmt: skip


def _product(a: Tensor, b: Tensor, output: Tensor) -> dict[str, Field]:
    scale = np.float32(a.scale[0]) * np.float32(b.scale[0]) / np.float32(output.scale[0])
    multiplier, shift = quantize_multiplier(float(scale))
    return {"multiplier": multiplier, "shift": shift}


def _steps(node: Node, a: Tensor, b: Tensor, output: Tensor) -> dict[str, tuple[int, ...]]:
    """The output's sizes and how far each input moves a step of each, 0 where it is stretched; dimensions merged."""
    sizes = list(output.shape)
    moves = [_moves(tensor.shape, len(sizes)) for tensor in (a, b)]
    merged: list[tuple[int, int, int]] = []
    for item in zip(sizes, *moves, strict=True):
        size, move_a, move_b = item
        if size == 1:
            continue
        if merged and merged[-1][1:] == (size * move_a, size * move_b):
            merged[-1] = (merged[-1][0] * size, move_a, move_b)
        else:
            merged.append(item)
    if len(merged) > RANK:
        raise refusal(node, f"it stretches over more than {RANK} dimensions")
    padded = [(1, 0, 0)] * (RANK - len(merged)) + merged
    found = tuple(tuple(part) for part in zip(*padded, strict=True))
    return {"sizes": found[0], "a_steps": found[1], "b_steps": found[2]}


def _moves(shape: tuple[int, ...], rank: int) -> list[int]:
    whole = (1,) * (rank - len(shape)) + shape
    behind = [int(np.prod(whole[place + 1 :], dtype=np.int64)) for place in range(rank)]
    return [0 if size == 1 else move for size, move in zip(whole, behind, strict=True)]


LOWERINGS: Final[Mapping[str, Lowering]] = {"ADD": _binary, "SUB": _binary, "MUL": _binary}
