"""The zoo's PyTorch models; weights are random, and the same every time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def _seeded(make: Callable[[], Any]) -> Callable[[], Any]:
    def seeded() -> Any:
        torch.manual_seed(7)
        module = make().eval()
        for item in module.modules():
            if isinstance(item, nn.BatchNorm1d | nn.BatchNorm2d):  # statistics as training leaves them, not 0 and 1
                nn.init.normal_(item.running_mean, std=0.2)
                nn.init.uniform_(item.running_var, 0.5, 1.5)
        return module

    return seeded


def _conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class Inverted(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """MobileNetV2's block: widen, filter by channel, narrow, add."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = channels * 4
        self.body = nn.Sequential(
            _conv(channels, wide, size=1), _conv(wide, wide, groups=wide),
            nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add to what came in."""
        return x + self.body(x)


@_seeded
def mobilenet() -> nn.Module:
    """Depthwise separable convolutions with residuals; 1x3x48x48 in, 10 classes out."""
    return nn.Sequential(
        _conv(3, 16, 2), Inverted(16), _conv(16, 32, 2), Inverted(32), _conv(32, 64, 2), Inverted(64),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class Residual(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """ResNet's basic block with squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, channels), _conv(channels, channels)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.Conv2d(8, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gate the branch, add."""
        found = self.second(self.first(x))
        return torch.relu(x + found * self.gate(found))


@_seeded
def resnet() -> nn.Module:
    """Residual blocks with squeeze and excitation; 1x3x32x32 in."""
    return nn.Sequential(
        _conv(3, 24), Residual(24), nn.MaxPool2d(2), Residual(24), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(24, 10),
    )  # fmt: skip


class Unet(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Down, up and across."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = _conv(3, 16), _conv(16, 32, 2)
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.out = nn.Conv2d(32, 4, 1)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores by pixel."""
        near = self.down(image)
        far = nn.functional.interpolate(self.up(self.deep(near)), scale_factor=1.0, mode="nearest")
        return {"mask": self.out(torch.cat([near, far], 1))}


@_seeded
def unet() -> nn.Module:
    """Segmentation: transposed convolution, concatenation; 1x3x32x32 in and 1x4x32x32 out."""
    return Unet()


class Stateful(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """One step of a recurrent network, its state by hand."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer = kind(16, 24, batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, features: torch.Tensor, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of the last step, and the state for the next call."""
        state = (hidden, hidden * 0.5) if isinstance(self.layer, nn.LSTM) else hidden
        found, after = self.layer(features, state)
        after = after[0] if isinstance(after, tuple) else after
        return {"scores": self.head(found[:, -1]), "state": after}


@_seeded
def lstm() -> nn.Module:
    """LSTM with state; features 1x6x16, hidden 1x1x24."""
    return Stateful(nn.LSTM)


@_seeded
def gru() -> nn.Module:
    """GRU with state; features 1x6x16, hidden 1x1x24."""
    return Stateful(nn.GRU)


@_seeded
def transformer() -> nn.Module:
    """One encoder layer, norm first; 1x12x32 in and out."""
    return nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)


class Tokens(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A text classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(200, 16)
        self.body = nn.Sequential(nn.Conv1d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.head = nn.Linear(32, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Scores by class."""
        return self.head(self.body(self.table(ids).transpose(1, 2)))


@_seeded
def tokens() -> nn.Module:
    """Token ids, int64 1x20."""
    return Tokens()


class Two(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Two inputs, and two outputs of one shape."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(8, 6), nn.Linear(8, 6)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[str, torch.Tensor]:
        """Their sum and their difference."""
        a, b = self.left(left), self.right(right)
        return {"total": a + b, "difference": a - b}


@_seeded
def two() -> nn.Module:
    """Names alone tell the outputs apart; 1x8 twice."""
    return Two()


@_seeded
def unbatched() -> nn.Module:
    """No batch dimension: a vector of 40."""
    return nn.Sequential(nn.Linear(40, 32), nn.Tanh(), nn.Linear(32, 8))


class Audio(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A 1-D network on samples."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 16, 16, 4), nn.BatchNorm1d(16), nn.LeakyReLU(0.1),
            nn.Conv1d(16, 32, 5, 2, dilation=2), nn.GELU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(32, 6)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Scores by class, as logarithms of probabilities."""
        return torch.log_softmax(self.head(self.body(wave)), -1)


@_seeded
def audio() -> nn.Module:
    """Strided and dilated 1-D convolutions, GELU; 1x1x400."""
    return Audio()


class Branches(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Data-dependent control flow, which only a script keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One layer or the other."""
        if bool(x.sum() > 0):
            return self.large(x)
        return self.small(x)


@_seeded
def branches() -> nn.Module:
    """An if on the values; 1x8."""
    return Branches()


def scripted_branches() -> nn.Module:
    """The same as a script."""
    return torch.jit.script(branches())
