"""Take per-channel arithmetic behind a convolution or linear layer into its weights and bias."""

from math import prod
from typing import Final

import torch
from torch import fx

from edgekit_converters.torch_graph.constants import add_constant, constant, packet

_aten = torch.ops.aten

CONVOLUTIONS: Final = {_aten.conv1d, _aten.conv2d}

_AFFINE: Final = {torch.add, torch.sub, torch.mul, torch.div}

_MATRIX: Final = 2
"""Dimensions of a matrix."""


class Weighted:
    """A convolution, linear or matrix call with constant weights, output channels first.

    Attributes:
        weight: (out, in/groups, *kernel) for a convolution, (out, in) else; None when the node is neither.
        bias: (out,), or None.
    """

    def __init__(self, graph: fx.GraphModule, node: fx.Node) -> None:
        called = packet(node)
        self.convolution = called in CONVOLUTIONS
        self.matmul = node.op == "call_function" and node.target is torch.matmul
        self.weight: torch.Tensor | None = None
        self.bias: torch.Tensor | None = None
        if self.matmul:
            weight = constant(graph, node.args[1])
            self.weight = weight.t() if weight is not None and weight.dim() == _MATRIX else None
        elif self.convolution or called is _aten.linear:
            bias = node.args[2:3]
            self.bias = constant(graph, bias[0]) if bias else None
            known = not bias or bias[0] is None or self.bias is not None
            self.weight = constant(graph, node.args[1]) if known else None

    def per_channel(self, value: torch.Tensor, rank: int) -> torch.Tensor | None:
        """A constant of an output of `rank` dimensions as one number a channel; None when it is anything else."""
        channels = self.weight.shape[0] if self.weight is not None else 0
        if value.numel() == 1:
            return value.reshape(1).expand(channels)
        shape = (1,) * (rank - value.dim()) + tuple(value.shape)
        axis = 1 if self.convolution else rank - 1
        fits = len(shape) == rank and shape[axis] == channels and prod(shape) == channels
        return value.reshape(channels) if fits else None


def fold_affine(graph: fx.GraphModule) -> None:
    """Fold as long as the next use of a layer's output is a per-channel add, sub, mul or div."""
    for node in list(graph.graph.nodes):
        while len(node.users) == 1 and _fold_one(graph, node, next(iter(node.users))):
            pass


def _fold_one(graph: fx.GraphModule, node: fx.Node, user: fx.Node) -> bool:
    layer = Weighted(graph, node)
    value = _operand(graph, node, user, layer)
    if layer.weight is None or value is None:
        return False
    scale = {torch.mul: value, torch.div: 1 / value}.get(user.target, torch.ones_like(value))
    shift = {torch.add: value, torch.sub: -value}.get(user.target, torch.zeros_like(value))
    bias = torch.zeros_like(value) if layer.bias is None else layer.bias
    weight = layer.weight * scale.reshape((-1,) + (1,) * (layer.weight.dim() - 1))
    weights = (add_constant(graph, node, weight), add_constant(graph, node, bias * scale + shift))
    if layer.matmul:
        node.target = _aten.linear.default
    node.args = (node.args[0], *weights, *(node.args[3:] if layer.convolution else ()))
    user.replace_all_uses_with(node)
    graph.graph.erase_node(user)
    return True


def _operand(graph: fx.GraphModule, node: fx.Node, user: fx.Node, layer: Weighted) -> torch.Tensor | None:
    """What `user` combines the layer's output with, one number a channel; None when it cannot be folded."""
    if layer.weight is None or user.op != "call_function" or user.target not in _AFFINE or user.kwargs:
        return None
    left, right, *more = user.args
    other = right if left is node else left
    if more or (left is not node and user.target in {torch.sub, torch.div}):
        return None
    value = torch.tensor(float(other)) if isinstance(other, int | float) else constant(graph, other)
    return None if value is None else layer.per_channel(value, len(node.meta["tensor_meta"].shape))
