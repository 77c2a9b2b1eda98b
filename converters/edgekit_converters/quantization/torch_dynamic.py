"""Dynamic int8 for PyTorch: layers by layers of int8 weights, in the model itself or in its plain graph."""

import copy
import warnings
from typing import Any, Final

import torch
from torch import fx, nn

_KINDS: Final = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
"""What PyTorch quantizes dynamically; convolutions are not among it."""


def has_dynamic_layers(module: nn.Module) -> bool:
    """Whether there is anything to replace."""
    return any(type(item) in _KINDS for item in module.modules())


def quantize_layers(module: nn.Module) -> nn.Module:
    """A copy with its layers replaced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated upstream; the manifest says so
        return torch.ao.quantization.quantize_dynamic(copy.deepcopy(module), _KINDS, dtype=torch.qint8)


def quantize_plain(graph: fx.GraphModule) -> fx.GraphModule:
    """The same for a plain graph, whose values' shapes are known: a vector passes a layer as a matrix of one row.

    (`quantized::linear_dynamic` takes no vectors.)
    """
    vectors = [
        node
        for node in graph.graph.nodes
        if node.op == "call_module" and isinstance(graph.get_submodule(node.target), nn.Linear) and _is_vector(node)
    ]
    for node in vectors:
        with graph.graph.inserting_before(node):
            row = graph.graph.call_function(torch.unsqueeze, (node.args[0], 0))
        node.args = (row,)
        with graph.graph.inserting_after(node):
            vector = graph.graph.call_function(torch.squeeze, (node, 0))
        node.replace_all_uses_with(vector, delete_user_cb=lambda user, own=vector: user is not own)
    graph.recompile()
    quantized: Any = quantize_layers(graph)
    return quantized


def _is_vector(node: fx.Node) -> bool:
    meta = getattr(node.args[0], "meta", {}).get("tensor_meta")
    return meta is not None and len(meta.shape) == 1
