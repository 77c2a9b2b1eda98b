"""Weights as nodes: read them, add them, compute now what depends on them alone."""

from typing import Any

import torch
from torch import fx


def packet(node: fx.Node) -> Any:
    """The ATen operator a node calls, whatever its overload; None for anything else."""
    return getattr(node.target, "overloadpacket", None) if node.op == "call_function" else None


def constant(graph: fx.GraphModule, node: Any) -> torch.Tensor | None:
    """The weight that a node reads, or None when it is not a weight."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    value: Any = graph
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value.detach() if isinstance(value, torch.Tensor) else None


def add_constant(graph: fx.GraphModule, before: fx.Node, value: torch.Tensor) -> fx.Node:
    """A new weight, read by a new node in front of `before`."""
    count = sum(name.startswith("_folded_") for name, _ in graph.named_buffers(recurse=False))
    name = f"_folded_{count}"
    graph.register_buffer(name, value.detach().clone())
    with graph.graph.inserting_before(before):
        return graph.graph.get_attr(name)


def fold_constants(graph: fx.GraphModule) -> None:
    """Compute now what depends on weights alone."""
    for node in list(graph.graph.nodes):
        values = {item: constant(graph, item) for item in node.all_input_nodes}
        if node.op != "call_function" or not values or any(value is None for value in values.values()):
            continue
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        result = node.target(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            node.replace_all_uses_with(add_constant(graph, node, result))
            graph.graph.erase_node(node)
