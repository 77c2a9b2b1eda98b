"""Models that an exporter to ONNX can get wrong: names that clash, inputs that pass through, unknown operators."""

from typing import Any

import torch
from torch import nn


class Step(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A recurrent step: the state goes in and comes out under one name."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cell = {"gru": nn.GRU, "lstm": nn.LSTM}[kind](8, 32, batch_first=True)
        self.kind = kind

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> dict[str, torch.Tensor]:
        """The last output, and the state behind it."""
        given = state if self.kind == "gru" else (state, torch.zeros_like(state))
        y, after = self.cell(x, given)
        return {"relu": y.relu()[:, -1], "state": after if self.kind == "gru" else after[0]}


def make_gru() -> Step:
    """The module."""
    return Step("gru")


def make_lstm() -> Step:
    """The module."""
    return Step("lstm")


class Passing(nn.Module):  # type: ignore[misc]  # as above
    """An input that is not used, one that passes through, one output twice, names that operators like to take."""

    def forward(
        self,
        add: torch.Tensor,
        unused: torch.Tensor,  # noqa: ARG002 - that is the case
        mul: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """`mul` as it came, and a product under two names."""
        product = add * mul + 1
        return {"add": product, "passed": mul, "again": product}


def make_passing() -> Passing:
    """The module."""
    return Passing()


class Transform(nn.Module):  # type: ignore[misc]  # as above
    """A transformer on integer ids."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Tokens, encoded."""
        encoded: torch.Tensor = self.encoder(self.embed(ids))
        return encoded


def make_transform() -> Transform:
    """The module."""
    return Transform()


class Unknown(nn.Module):  # type: ignore[misc]  # as above
    """An operator that ONNX does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Modified Bessel function of the first kind, of order 1."""
        found: torch.Tensor = torch.special.i1(x)
        return found


def make_unknown() -> Unknown:
    """The module."""
    return Unknown()


class Huge(nn.Module):  # type: ignore[misc]  # as above
    """A weight that half precision cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        with torch.no_grad():
            self.layer.weight[0, 0] = 1e6

    def forward(self, x: torch.Tensor) -> Any:
        """The layer's output."""
        return self.layer(x)


def make_huge() -> Huge:
    """The module."""
    return Huge()


class Distance(nn.Module):  # type: ignore[misc]  # as above
    """An operator that only the older exporter knows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Distances between the rows and their doubles."""
        return torch.cdist(x, 2 * x)


def make_distance() -> Distance:
    """The module."""
    return Distance()
