"""A source model held by PyTorch, however it was stored: named inputs and outputs, ready to run and convert."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekit.errors import UsageError
from edgekit.model import Signature, TensorSpec
from edgekit.protocols import Array, Tensors

Call = Callable[[Any, Mapping[str, torch.Tensor]], Any]
"""Calls a module with its inputs by name; the module comes first, so that a quantized copy can be called too."""


class Flat(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """The model with inputs by position and a flat tuple of outputs, in the signature's order."""

    def __init__(self, module: nn.Module, call: Call, names: Sequence[str]) -> None:
        super().__init__()
        self.training = False  # not by eval(): the module of an exported program refuses to be switched
        self.module = module
        self._call = call
        self._names = tuple(names)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the model."""
        return tuple(named_outputs(self._call(self.module, dict(zip(self._names, inputs, strict=True)))).values())


class Named(nn.Module):  # type: ignore[misc]  # as above
    """The model with inputs by keyword and a dict of outputs by name."""

    def __init__(self, module: nn.Module, call: Call) -> None:
        super().__init__()
        self.training = False  # not by eval(): the module of an exported program refuses to be switched
        self.module = module
        self._call = call

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run the model."""
        return named_outputs(self._call(self.module, inputs))


class TorchSource:
    """A `LoadedSource` in PyTorch.

    Attributes:
        module: The module, in inference mode.
        call: Runs it with inputs by name.
        example: One tensor for each input, in the signature's order.
        scripted: TorchScript already: its control flow must not be traced away.
        plain: Whether its own graph is worth keeping; False for Keras models, whose PyTorch graph needs tidying.
        selected: How many branches the exported program computes both sides of; 0 before there is one.
    """

    def __init__(
        self,
        module: nn.Module,
        call: Call,
        inputs: Sequence[TensorSpec],
        *,
        operators: Mapping[str, int] | None = None,
        framework: str = "",
        scripted: bool = False,
        plain: bool = True,
        output_names: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.scripted = scripted
        self.selected = 0
        self._exported: torch.export.ExportedProgram | None = None
        self.plain = plain
        self.notes: Sequence[str] = tuple(notes)
        self.framework = framework or f"torch {torch.__version__}"
        self.parameters = sum(parameter.numel() for parameter in module.parameters())
        self.operators: Mapping[str, int] = operators if operators is not None else module_counts(module)
        self.call: Call = _renamed(call, output_names) if output_names else call
        self.example = tuple(example_tensor(spec) for spec in inputs)
        outputs = self._outputs(dict(zip((spec.name for spec in inputs), self.example, strict=True)))
        self.signature = Signature(
            inputs=tuple(inputs),
            outputs=tuple(_spec(name, value) for name, value in outputs.items()),
        )

    def _outputs(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        with torch.inference_mode():
            return named_outputs(self.call(self.module, inputs))

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name."""
        tensors = {
            spec.name: torch.from_numpy(np.ascontiguousarray(inputs[spec.name])) for spec in self.signature.inputs
        }
        return {name: value.numpy() for name, value in self._outputs(tensors).items()}

    def blame(self, complaint: str) -> str:
        """Which layer a converter's complaint is about; empty where nobody knows."""
        from edgekit_converters.sources.torch_blame import layers_to_blame

        return layers_to_blame(self, complaint)

    def relaid(self, layout: str) -> "TorchSource":
        """The same model with its tensors of four dimensions in this layout."""
        from edgekit_converters.sources.torch_layout import TurnedSource

        return TurnedSource(self, layout)

    def flat(self, module: nn.Module | None = None) -> nn.Module:
        """The model, or a changed copy of its module, by position and flat."""
        return Flat(module or self.module, self.call, [spec.name for spec in self.signature.inputs])

    def exported(self) -> torch.export.ExportedProgram:
        """The model as an exported program of its flat form, without branches (see `torch_graph.branches`)."""
        if self._exported is None:
            from edgekit_converters.torch_graph.branches import without_branches

            self._exported, self.selected = without_branches(self._as_program(), self.example)
        return self._exported

    def _as_program(self) -> torch.export.ExportedProgram:
        if self.scripted:
            from torch._export.converter import TS2EPConverter

            return TS2EPConverter(self.module, self.example).convert()
        return torch.export.export(self.flat(), self.example)


def named_outputs(value: Any) -> dict[str, torch.Tensor]:
    """A model's outputs by name: a dict's own keys, `output_N` by position for everything else."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    items = value if isinstance(value, list | tuple) else (value,)
    wrong = next((item for item in items if not isinstance(item, torch.Tensor)), None)
    if wrong is not None:
        raise UsageError(
            f"The model gives {type(wrong).__name__} as an output, which cannot be exported.",
            hint="Let forward return tensors, or a tuple, list or dict of tensors.",
        )
    return {f"output_{place}": item for place, item in enumerate(items)}


def tensor_spec(name: str, shape: Sequence[Any], dtype: torch.dtype) -> TensorSpec:
    """A spec from PyTorch's own words; what is not an int becomes a named free dimension."""
    dims = tuple(dim if isinstance(dim, int) else str(dim) for dim in shape)
    return TensorSpec(name=name, shape=dims, dtype=str(dtype).removeprefix("torch."))


def module_counts(module: nn.Module) -> dict[str, int]:
    """The leaf modules by class name."""
    leaves = (type(item).__name__ for item in module.modules() if not list(item.children()))
    return dict(sorted(Counter(leaves).items()))


def _spec(name: str, value: torch.Tensor) -> TensorSpec:
    return tensor_spec(name, list(value.shape), value.dtype)


def example_tensor(spec: TensorSpec) -> torch.Tensor:
    """Zeros would hide a wrong scale, so floats are small random numbers; integers stay in any vocabulary."""
    dtype = getattr(torch, spec.dtype)
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.rand(spec.shape, generator=generator, dtype=torch.float32).to(dtype)
    return torch.randint(0, 2, spec.shape, generator=generator).to(dtype)


def _renamed(call: Call, names: Sequence[str]) -> Call:
    def renamed(module: Any, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(zip(names, named_outputs(call(module, inputs)).values(), strict=True))

    return renamed
