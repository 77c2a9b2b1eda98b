"""Branches without control flow: both sides are computed, and the condition selects.

An exported program is functional, so that a side that is not taken has no effect but its time. What is selected is
exactly what the side that is taken gives (`torch.where`), also beside NaN on the other.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import fx

_COND: Final = torch.ops.higher_order.cond


def without_branches(
    program: torch.export.ExportedProgram, example: Sequence[torch.Tensor]
) -> tuple[torch.export.ExportedProgram, int]:
    """The program with both sides of its branches computed, and how many they were; the same one where there are none.

    Args:
        program: Exported for inference.
        example: One tensor for each input.
    """
    if not any(node.target is _COND for node in program.graph.nodes):
        return program, 0
    graph: fx.GraphModule = program.run_decompositions({}).module()
    for node in [node for node in graph.graph.nodes if str(node.target).startswith("_guards")]:
        graph.graph.erase_node(node)
    count = _select_all(graph)
    return torch.export.export(graph, tuple(example)), count


def _select_all(graph: fx.GraphModule) -> int:
    """Innermost ones too; gives how many there were."""
    count = 0
    while found := [node for node in graph.graph.nodes if node.op == "call_function" and node.target is _COND]:
        for node in found:
            _select(graph, node)
        count += len(found)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.graph.lint()
    graph.recompile()
    return count


def _select(graph: fx.GraphModule, node: fx.Node) -> None:
    condition, true_side, false_side, operands = node.args
    taken, other = (_inlined(graph, node, side, operands) for side in (true_side, false_side))
    with graph.graph.inserting_before(node):
        chosen = [_where(graph, condition, *pair) for pair in zip(taken, other, strict=True)]
    for user in list(node.users):  # a branch gives a tuple, whose items are taken by place
        user.replace_all_uses_with(chosen[user.args[1]])
        graph.graph.erase_node(user)
    graph.graph.erase_node(node)


def _where(graph: fx.GraphModule, condition: Any, taken: Any, other: Any) -> fx.Node:
    chosen = graph.graph.call_function(torch.ops.aten.where.self, (condition, taken, other))
    chosen.meta = dict(taken.meta)
    return chosen


def _inlined(graph: fx.GraphModule, node: fx.Node, side: fx.Node, operands: Any) -> list[Any]:
    """The nodes of a side, before the branch; gives its outputs."""
    inner = graph.get_submodule(str(side.target))
    known: dict[fx.Node, Any] = {}
    given = iter(operands)
    for item in inner.graph.nodes:
        if item.op == "placeholder":
            known[item] = next(given)
        elif item.op == "output":
            return [known[value] for value in item.args[0]]
        else:
            with graph.graph.inserting_before(node):
                known[item] = graph.graph.node_copy(item, known.__getitem__)
            if item.op == "get_attr":
                known[item].target = f"{side.target}.{item.target}"
    raise AssertionError  # every graph has an output


def branch_notes(count: int) -> tuple[str, ...]:
    """For the manifest."""
    return (f"Both sides of {count} branches are computed, and one is taken.",) if count else ()
