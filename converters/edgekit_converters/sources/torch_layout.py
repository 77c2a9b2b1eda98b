"""A PyTorch source that takes and gives its tensors of four dimensions in the other layout.

The turning is part of the model, so that every converter makes it; TFLite's cancels it against the turning that NCHW
convolutions need anyway.
"""

from collections.abc import Mapping
from typing import Any

import torch

from edgekit.errors import UsageError
from edgekit.layout import RANK, axes_to, has_images, opposite, turned
from edgekit.protocols import Array, Tensors
from edgekit_converters.sources.torch_source import TorchSource, named_outputs


class TurnedSource(TorchSource):
    """The same model in another layout; the original says what is right."""

    def __init__(self, original: TorchSource, layout: str) -> None:
        inputs = original.signature.inputs
        if not has_images(inputs):
            raise UsageError(
                f"The model has no input of four dimensions that could be {layout}.", hint="Leave --layout out."
            )
        self._original = original
        self._to, self._back = axes_to(layout), axes_to(opposite(layout))

        def call(module: Any, named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            given = {name: _permuted(value, self._back) for name, value in named.items()}
            outputs = named_outputs(original.call(module, given))
            return {name: _permuted(value, self._to) for name, value in outputs.items()}

        super().__init__(
            original.module,
            call,
            [turned(spec, layout) for spec in inputs],
            operators=original.operators,
            framework=original.framework,
            plain=original.plain,
            notes=original.notes,
        )
        self.parameters = original.parameters
        outputs = tuple(turned(spec, layout) for spec in original.signature.outputs)
        self.signature = type(self.signature)(inputs=self.signature.inputs, outputs=outputs)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run the original."""
        given = {name: _transposed(value, self._back) for name, value in inputs.items()}
        return {name: _transposed(value, self._to) for name, value in self._original.run(given).items()}


def _permuted(value: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    return value.permute(axes).contiguous() if value.dim() == RANK else value


def _transposed(value: Array, axes: tuple[int, ...]) -> Array:
    return value.transpose(axes) if value.ndim == RANK else value
