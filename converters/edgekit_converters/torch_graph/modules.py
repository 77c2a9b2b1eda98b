"""Put modules where quantization looks for modules, and methods where it looks for methods."""

from typing import Any, Final

import torch
from torch import fx, nn
from torch.nn import functional

from edgekit_converters.torch_graph.affine import Weighted

_CONV1D_RANK: Final = 3
"""Dimensions of a one-dimensional convolution's weight: out, in, length."""

_METHODS: Final = {torch.permute: "permute", torch.reshape: "reshape"}
"""Functions that FX quantization passes integers through only when they are called as methods."""


def use_modules(graph: fx.GraphModule) -> None:
    """Replace convolutions, linear layers and clamps by the modules of the same meaning."""
    for count, node in enumerate(list(graph.graph.nodes)):
        module = _module_for(graph, node)
        if module is None:
            continue
        name = f"layer_{count}"
        graph.add_submodule(name, module)
        with graph.graph.inserting_before(node):
            call = graph.graph.call_module(name, (node.args[0],))
        call.meta = dict(node.meta)
        node.replace_all_uses_with(call)
        graph.graph.erase_node(node)


def use_methods(graph: fx.GraphModule) -> None:
    """Call permute and reshape as methods."""
    for node in graph.graph.nodes:
        method = _METHODS.get(node.target) if node.op == "call_function" else None
        if method is not None:
            node.op, node.target = "call_method", method


def _module_for(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    layer = Weighted(graph, node)
    if layer.weight is not None:
        build = _convolution if layer.convolution else _linear
        return build(node, layer.weight, layer.bias)
    if node.op != "call_function":
        return None
    if node.target is functional.relu:
        return nn.ReLU()
    clamps_at_6 = node.target is functional.hardtanh and tuple(node.args[1:3]) == (0, 6)
    return nn.ReLU6() if clamps_at_6 or node.target is functional.relu6 else None


def _convolution(node: fx.Node, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    given: tuple[Any, ...] = node.args[3:]
    defaults: tuple[Any, ...] = (1, 0, 1, 1)
    stride, padding, dilation, groups = given + defaults[len(given) :]
    kind = nn.Conv1d if weight.dim() == _CONV1D_RANK else nn.Conv2d
    module = kind(
        in_channels=weight.shape[1] * groups,
        out_channels=weight.shape[0],
        kernel_size=tuple(weight.shape[2:]),
        stride=_tuple(stride),
        padding=_tuple(padding),
        dilation=_tuple(dilation),
        groups=groups,
        bias=bias is not None,
    )
    return _with_weights(module, weight, bias)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _linear(_node: fx.Node, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    outputs, inputs = weight.shape
    return _with_weights(nn.Linear(inputs, outputs, bias=bias is not None), weight, bias)


def _with_weights(module: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    state = {"weight": weight.contiguous()} | ({} if bias is None else {"bias": bias})
    module.load_state_dict(state)
    return module.eval().requires_grad_(requires_grad=False)
