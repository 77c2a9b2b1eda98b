"""Drop what changes nothing, and name the rest by the functions that quantization knows."""

import operator
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import fx
from torch.nn import functional

from edgekit_converters.torch_graph.constants import add_constant, constant, packet

_aten = torch.ops.aten

_IDENTITIES: Final = {_aten.contiguous, _aten.clone, _aten.detach, _aten.alias, _aten.lift_fresh_copy, _aten.dropout}
"""Calls that hand their first argument through, as far as values go."""

_CASTS: Final = {_aten.to, _aten._to_copy}  # noqa: SLF001 - the operator's own name
_ASSERT: Final = _aten._assert_tensor_metadata  # noqa: SLF001 - as above

_BATCH_NORMS: Final = {_aten.batch_norm, _aten._native_batch_norm_legit_no_training}  # noqa: SLF001 - as above
"""The operator as exported, and as it is named once it is functional (a tuple, the value first)."""

_CONVOLUTIONS: Final = {_aten.convolution, _aten._convolution}  # noqa: SLF001 - as above
_OF_RANK: Final = {1: _aten.conv1d.default, 2: _aten.conv2d.default}

_PLAIN: Final[dict[Any, Callable[..., Any]]] = {
    _aten.relu: functional.relu,
    _aten.relu6: functional.relu6,
    _aten.hardtanh: functional.hardtanh,
    _aten.leaky_relu: functional.leaky_relu,
    _aten.elu: functional.elu,
    _aten.silu: functional.silu,
    _aten.hardswish: functional.hardswish,
    _aten.hardsigmoid: functional.hardsigmoid,
    _aten.sigmoid: torch.sigmoid,
    _aten.tanh: torch.tanh,
    _aten.max_pool2d: functional.max_pool2d,
    _aten.avg_pool2d: functional.avg_pool2d,
    _aten.adaptive_avg_pool2d: functional.adaptive_avg_pool2d,
    _aten.flatten: torch.flatten,
    _aten.reshape: torch.reshape,
    _aten.view: torch.reshape,
    _aten._unsafe_view: torch.reshape,  # noqa: SLF001 - the operator's own name
    _aten.permute: torch.permute,
    _aten.mean: torch.mean,
    _aten.cat: torch.cat,
    _aten.matmul: torch.matmul,
    _aten.mm: torch.matmul,
    _aten.add: torch.add,
    _aten.sub: torch.sub,
    _aten.subtract: torch.sub,
    _aten.mul: torch.mul,
    _aten.multiply: torch.mul,
    _aten.div: torch.div,
    _aten.divide: torch.div,
    _aten.pad: functional.pad,
}
"""ATen operators and the function of the same arguments that quantization recognises."""


def _dtype(node: Any) -> torch.dtype | None:
    return getattr(node.meta.get("val"), "dtype", None)


def drop_identities(graph: fx.GraphModule) -> None:
    """Remove assertions, copies, casts to the dtype a value has, and dropout."""
    for node in list(graph.graph.nodes):
        called = packet(node)
        if called is _ASSERT:
            graph.graph.erase_node(node)
        elif called in _IDENTITIES or (called in _CASTS and _dtype(node) == _dtype(node.args[0])):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def fix_sizes(graph: fx.GraphModule) -> None:
    """Write sizes as numbers: a traced model asks its values for their shapes, which are the example's."""
    for node in list(graph.graph.nodes):
        if packet(node) is not _aten.sym_size:
            continue
        value, dim = node.args
        for user in list(node.users):
            _write(user, node, int(value.meta["val"].shape[dim]))
        graph.graph.erase_node(node)


def _write(user: fx.Node, node: fx.Node, number: int) -> None:
    """Give `user` the number in place of the node."""
    user.args, user.kwargs = fx.node.map_arg((user.args, user.kwargs), lambda item: number if item is node else item)


def use_plain_convolutions(graph: fx.GraphModule) -> None:
    """Call `conv1d` and `conv2d` where TorchScript left the general convolution, which can be transposed too."""
    for node in graph.graph.nodes:
        if packet(node) not in _CONVOLUTIONS:
            continue
        value, weight, bias, stride, padding, dilation, transposed, _, groups, *_ = node.args
        overload = _OF_RANK.get(len(stride))
        if not transposed and overload is not None:
            node.target = overload
            node.args = (value, weight, bias, stride, padding, dilation, groups)


def use_plain_functions(graph: fx.GraphModule) -> None:
    """Call `torch` and `torch.nn.functional` instead of ATen where the arguments are the same."""
    for node in graph.graph.nodes:
        plain = _PLAIN.get(packet(node))
        if plain is not None:
            node.target = plain


def expand_batch_norms(graph: fx.GraphModule) -> None:
    """Batch normalization in inference is one multiplication and one addition a channel."""
    for node in list(graph.graph.nodes):
        if packet(node) not in _BATCH_NORMS:
            continue
        value = next((user for user in node.users if user.target is operator.getitem and user.args[1] == 0), node)
        scale_and_shift = _scale_and_shift(graph, node)
        if scale_and_shift is None:
            continue
        meta = dict(value.meta)
        shape = (1, -1) + (1,) * (meta["val"].dim() - 2)
        scale, shift = (add_constant(graph, node, item.reshape(shape)) for item in scale_and_shift)
        with graph.graph.inserting_before(node):
            multiplied = graph.graph.call_function(torch.mul, (node.args[0], scale))
            added = graph.graph.call_function(torch.add, (multiplied, shift))
        multiplied.meta = added.meta = meta
        value.replace_all_uses_with(added)


def _scale_and_shift(graph: fx.GraphModule, node: fx.Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Batch norm's y = (x - mean) / sqrt(variance + epsilon) * gamma + beta as y = x * scale + shift."""
    gamma, beta, mean, variance = (constant(graph, item) for item in node.args[1:5])
    numbers = [item for item in node.args[5:] if isinstance(item, float)]  # momentum, epsilon
    if mean is None or variance is None or True in node.args[5:6]:
        return None
    scale = torch.rsqrt(variance + numbers[1])
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale
    return scale, shift if beta is None else beta + shift
