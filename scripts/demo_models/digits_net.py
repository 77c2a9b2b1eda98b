"""A small convolutional network for 8x8 grey images of digits."""

from torch import Tensor, nn


class DigitsNet(nn.Module):  # type: ignore[misc]  # the type checker does not follow torch
    """Three convolutions, each with batch normalization and ReLU; pooling; a dense layer that gives logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, 16),
            *_block(16, 32),
            nn.MaxPool2d(2),
            *_block(32, 64),
            nn.MaxPool2d(2),
        )
        self.classify = nn.Linear(64 * 2 * 2, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 8, 8) with values 0 to 1."""
        logits: Tensor = self.classify(self.features(image).flatten(1))
        return logits


def _block(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out), nn.ReLU()


def make_net() -> nn.Module:
    """The network without trained weights: what `edgekit convert digits_net.py:make_net` calls."""
    return DigitsNet()
