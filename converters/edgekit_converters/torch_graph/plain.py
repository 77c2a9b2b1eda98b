"""The order of the passes, from an exported program to a plain module."""

from collections.abc import Sequence

import torch
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from edgekit_converters.torch_graph.affine import fold_affine
from edgekit_converters.torch_graph.constants import fold_constants
from edgekit_converters.torch_graph.layout import sink_permutes
from edgekit_converters.torch_graph.modules import use_methods, use_modules
from edgekit_converters.torch_graph.tidy import (
    drop_identities,
    expand_batch_norms,
    fix_sizes,
    use_plain_convolutions,
    use_plain_functions,
)


def plain_graph(program: torch.export.ExportedProgram, example: Sequence[torch.Tensor]) -> fx.GraphModule:
    """The exported program as a plain module: the same inputs in order, a flat tuple of outputs.

    Args:
        program: Exported for inference.
        example: One tensor for each input, from which the shape of every value is learnt.
    """
    graph = flat_graph(program)
    for rewrite in (
        drop_identities,
        fix_sizes,
        fold_constants,
        use_plain_convolutions,
        use_plain_functions,
        expand_batch_norms,
        sink_permutes,
    ):
        rewrite(graph)
        graph.graph.eliminate_dead_code()
    ShapeProp(graph).propagate(*example)
    for rewrite in (fold_affine, use_modules, use_methods):
        rewrite(graph)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.graph.lint()
    graph.recompile()
    return graph


def flat_graph(program: torch.export.ExportedProgram) -> fx.GraphModule:
    """The program as a module, without in-place operators, input checks and nested arguments.

    An empty table decomposes nothing but makes every operator functional.
    """
    graph: fx.GraphModule = program.run_decompositions({}).module()
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and str(node.target).startswith("_guards"):
            graph.graph.erase_node(node)
    graph.graph.set_codegen(fx.graph.CodeGen())
    return graph
