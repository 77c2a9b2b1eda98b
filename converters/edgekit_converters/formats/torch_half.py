"""Half precision inside, float32 outside: the arithmetic too, or the weights alone."""

from collections.abc import Sequence

import torch
from torch import fx, nn

from edgekit_converters.torch_graph.constants import constant


class Half(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A module whose weights and arithmetic are float16 already; float32 is cast at its border."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the module in half precision."""
        halves = [item.half() if item.is_floating_point() else item for item in inputs]
        return tuple(item.float() if item.is_floating_point() else item for item in self.module(*halves))


def with_half_weights(graph: fx.GraphModule) -> tuple[fx.GraphModule, Sequence[str]]:
    """A graph of calls on free weights, its weights float16 and widened at each run; its arithmetic is float32.

    Returns:
        The graph, and under which names it keeps its weights: freezing must leave these alone, or widens them for good.
    """
    held: list[str] = []
    for node in list(graph.graph.nodes):
        value = constant(graph, node)
        if value is None or value.dtype != torch.float32:
            continue
        held.append(f"half_{len(held)}")
        graph.register_buffer(held[-1], value.half())
        node.target = held[-1]
        with graph.graph.inserting_after(node):
            wide = graph.graph.call_method("float", (node,))
        node.replace_all_uses_with(wide, delete_user_cb=lambda user, own=wide: user is not own)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph, held
