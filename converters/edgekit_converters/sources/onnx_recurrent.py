"""LSTM and GRU for onnx2torch, which has neither (onnx/docs/Operators.md, torch.nn.LSTM, torch.nn.GRU).

ONNX orders an LSTM's gates input, output, forget, cell and PyTorch input, forget, cell, output; a GRU's update, reset,
hidden against reset, update, hidden.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import torch
from torch import nn

_GATES: Final[Mapping[str, Sequence[int]]] = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
"""Where each of PyTorch's gates is in ONNX's order."""

_LAYERS: Final[Mapping[str, Callable[..., Any]]] = {"LSTM": nn.LSTM, "GRU": nn.GRU}
_VERSIONS: Final = (1, 7, 14)
_PLAIN: Final[Mapping[str, Sequence[str]]] = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh")}
"""The activations that PyTorch's layers have, for one direction."""


class Recurrent(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A layer with ONNX's shapes: in (length, batch, input), states (directions, batch, hidden)."""

    def __init__(self, layer: Any, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self._directions = 2 if layer.bidirectional else 1
        self._outputs = outputs

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> Any:
        """Run it; every output of ONNX, as many as the node has: (length, directions, batch, hidden), states."""
        zeros = x.new_zeros((self._directions, x.shape[1], self.layer.hidden_size))
        cell = isinstance(self.layer, nn.LSTM)
        given = list(states) + [zeros] * ((2 if cell else 1) - len(states))
        values, after = self.layer(x, tuple(given) if cell else given[0])
        split = values.reshape(x.shape[0], x.shape[1], self._directions, -1).transpose(1, 2)
        found = (split, *after) if cell else (split, after)
        return found[0] if self._outputs == 1 else found[: self._outputs]


@cache
def register_recurrent() -> None:
    """Tell onnx2torch of both, once."""
    from onnx2torch.node_converters.registry import add_converter

    for kind in _LAYERS:
        for version in _VERSIONS:
            add_converter(operation_type=kind, version=version)(_converter(kind))


def _converter(kind: str) -> Callable[[Any, Any], Any]:
    def convert(node: Any, graph: Any) -> Any:
        from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

        names = [*node.input_values, *[""] * 8][:8]
        weights = [None if not name else graph.initializers[name].to_torch() for name in names[1:4]]
        _check(kind, node.attributes, names)
        layer = _layer(kind, node.attributes, weights)
        states = [name for name in (names[5], names[6]) if name]
        return OperationConverterResult(
            torch_module=Recurrent(layer, len(node.output_values)),
            onnx_mapping=OnnxMapping(inputs=(names[0], *states), outputs=node.output_values),
        )

    return convert


def _check(kind: str, attributes: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse what PyTorch's layers have not.

    Raises:
        NotImplementedError: With what it is.
    """
    given = attributes.get("activations")
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    unlike = {
        "activations of its own": given is not None and list(given) != list(_PLAIN[kind]) * directions,
        "its lengths given": bool(names[4]),
        "peepholes": bool(names[7]),
        "a clip": "clip" in attributes,
        "the batch first": attributes.get("layout", 0) == 1,
        "its direction reversed": attributes.get("direction") == "reverse",
        "coupled gates": attributes.get("input_forget", 0) == 1,
        "the reset gate before its matrix": kind == "GRU" and attributes.get("linear_before_reset", 0) == 0,
        "a cell without its hidden state": bool(names[6]) and not names[5],
    }
    found = [what for what, is_so in unlike.items() if is_so]
    if found:
        raise NotImplementedError(f"{kind} with {found[0]}, which PyTorch's layer has not")


def _layer(kind: str, attributes: Mapping[str, Any], weights: Sequence[Any]) -> Any:
    inputs, states, biases = weights
    hidden, directions = int(attributes["hidden_size"]), len(inputs)
    layer = _LAYERS[kind](inputs.shape[2], hidden, bias=True, bidirectional=directions == 2)  # noqa: PLR2004 - both
    if biases is None:
        biases = torch.zeros(directions, 2 * inputs.shape[1])
    own: dict[str, torch.Tensor] = {}
    for place, end in enumerate(("_l0", "_l0_reverse")[:directions]):
        own |= {
            f"weight_ih{end}": _ordered(kind, inputs[place]),
            f"weight_hh{end}": _ordered(kind, states[place]),
            f"bias_ih{end}": _ordered(kind, biases[place].chunk(2)[0]),
            f"bias_hh{end}": _ordered(kind, biases[place].chunk(2)[1]),
        }
    layer.load_state_dict(own)
    return layer.eval().requires_grad_(requires_grad=False)


def _ordered(kind: str, value: torch.Tensor) -> torch.Tensor:
    gates = value.chunk(len(_GATES[kind]))
    return torch.cat([gates[place] for place in _GATES[kind]]).contiguous()
