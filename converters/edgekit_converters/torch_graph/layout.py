"""Move permutes below elementwise work until two meet and cancel: what is left of a channels-last source."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import fx
from torch.nn import functional

from edgekit_converters.torch_graph.constants import add_constant, constant

_ELEMENTWISE: Final = {
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
    torch.sigmoid,
    torch.tanh,
    functional.relu,
    functional.relu6,
    functional.hardtanh,
    functional.leaky_relu,
    functional.elu,
    functional.silu,
    functional.hardswish,
    functional.hardsigmoid,
}
"""What may change places with a permute: every element is computed from the elements at its own place."""


def sink_permutes(graph: fx.GraphModule) -> None:
    """Turn `op(permute(x))` into `permute(op(x))`, and cancel a permute that undoes another."""
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target in _ELEMENTWISE:
            _sink_through(graph, node)
        _merge_with_previous(node)


def _order(node: object) -> tuple[int, ...] | None:
    if not isinstance(node, fx.Node) or node.op != "call_function" or node.target is not torch.permute:
        return None
    dims: Sequence[int] = node.args[1]
    return tuple(dim % len(dims) for dim in dims)


def _merge_with_previous(node: fx.Node) -> None:
    order = _order(node)
    source = node.args[0] if order else None
    first = _order(source)
    if order is None or first is None or not isinstance(source, fx.Node):
        return
    combined = [first[place] for place in order]
    if combined == list(range(len(combined))):
        node.replace_all_uses_with(source.args[0])
    else:
        node.args = (source.args[0], combined)


def _sink_through(graph: fx.GraphModule, node: fx.Node) -> None:
    """Permute the result of an elementwise node instead of its inputs; weights are permuted back, once, here."""
    orders = {_order(item) for item in node.all_input_nodes} - {None}
    if len(orders) != 1:
        return
    order = orders.pop()
    assert order is not None  # noqa: S101 - None was taken out
    replaced: dict[fx.Node, fx.Node] = {}
    for item in node.all_input_nodes:
        unpermuted = _unpermuted(graph, node, item, order)
        if unpermuted is None:
            return
        replaced[item] = unpermuted
    node.args = fx.node.map_arg(node.args, replaced.__getitem__)
    with graph.graph.inserting_after(node):
        permuted = graph.graph.call_function(torch.permute, (node, list(order)))
    permuted.meta = dict(node.meta)
    node.replace_all_uses_with(permuted, delete_user_cb=lambda user: user is not permuted)


def _unpermuted(graph: fx.GraphModule, before: fx.Node, item: fx.Node, order: tuple[int, ...]) -> fx.Node | None:
    """The input as it is before a permute of `order`, or None where it cannot be had."""
    if _order(item) == order:
        return item.args[0]
    value = constant(graph, item)
    if value is None or value.dim() > len(order):
        return None
    padded = value.reshape((1,) * (len(order) - value.dim()) + tuple(value.shape))
    inverse = [order.index(place) for place in range(len(order))]
    return add_constant(graph, before, padded.permute(inverse))
