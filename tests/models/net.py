"""A small CNN as an engineer's own file holds it: a factory, and `python net.py FOLDER` for weights and data.

python tests/models/net.py work
edgekit convert tests/models/net.py:make_net --weights work/net.pt --calibration work/samples.npz …
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


class Net(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Convolution, batch normalization, ReLU and ReLU6, pooling, a linear head; input 1x8x8, ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU6(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Linear(32 * 16, 10)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores by class."""
        return {"logits": self.head(torch.flatten(self.features(image), 1))}


def make_net() -> Net:
    """The module, weights as PyTorch initializes them."""
    return Net()


class TwoInputs(nn.Module):  # type: ignore[misc]  # as above
    """Two inputs and two outputs of one shape, told apart by name alone."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[str, torch.Tensor]:
        """The difference, and its opposite scaled."""
        return {"difference": left - right, "opposite": 2 * (right - left)}


def make_two() -> TwoInputs:
    """The module."""
    return TwoInputs()


class Branchy(nn.Module):  # type: ignore[misc]  # as above
    """A data-dependent branch: tracing bakes in the side that the example takes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Double positive sums, negate the others."""
        return 2 * x if bool(x.sum() > 0) else -x


def make_branchy() -> Branchy:
    """The module."""
    return Branchy()


make_nothing: Callable[[], Any] = dict


def make_broken() -> Net:
    """Fails, as people's factories do."""
    raise FileNotFoundError("backbone.yaml")


def write(folder: Path, samples: int = 64) -> None:
    """Write `net.pt` (weights), `samples.npz` (calibration) and `test.npz` (inputs with labels), always the same."""
    torch.manual_seed(0)
    net = make_net().eval()
    for item in net.modules():
        if isinstance(item, nn.BatchNorm2d):
            item.running_mean.uniform_(-0.2, 0.2)
            item.running_var.uniform_(0.5, 1.5)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), folder / "net.pt")
    images = np.random.default_rng(0).standard_normal((2 * samples, 1, 8, 8)).astype(np.float32)
    with torch.inference_mode():
        labels = net(torch.from_numpy(images))["logits"].argmax(1).numpy()
    np.savez(folder / "samples.npz", image=images[:samples])
    np.savez(folder / "test.npz", image=images[samples:], labels=labels[samples:])


def write_uneven(folder: Path, factor: float) -> None:
    """As `write`, the same function: the first channel of the first ReLU is `factor` times as large, its use as small.

    Eight bits for all channels of a tensor are then hardly any for the others.
    """
    write(folder)
    weights = torch.load(folder / "net.pt", weights_only=True)
    for name in ("features.1.weight", "features.1.bias"):
        weights[name][0] *= factor
    weights["features.3.weight"][:, 0] /= factor
    torch.save(weights, folder / "net.pt")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
