"""A network large enough to measure: some 45 million multiplications, 0.1 ms and more on any machine."""

import torch
from torch import nn


def make_net() -> nn.Module:
    """Convolutions on (1, 3, height, width) images, with random weights that are the same every time."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for channels_in, channels_out in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1), nn.ReLU()]
    return _Net(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)))


class _Net(nn.Module):  # type: ignore[misc]  # the type checker does not follow torch
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(image)
        return logits
