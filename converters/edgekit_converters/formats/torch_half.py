"""Half precision inside, float32 outside."""

import torch
from torch import nn


class Half(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A module whose weights and arithmetic are float16; float32 inputs and outputs are cast at its border."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the module in half precision."""
        halves = [item.half() if item.is_floating_point() else item for item in inputs]
        return tuple(item.float() if item.is_floating_point() else item for item in self.module(*halves))
