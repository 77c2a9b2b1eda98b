"""Each pass keeps the graph's meaning and brings it to the form that quantization knows."""

from collections.abc import Callable

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from edgekit_converters.torch_graph import plain_graph

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls


class _Of(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A module of one function, with submodules where it needs weights."""

    def __init__(self, run: Callable[..., torch.Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self._run = run
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (self._run(self, *inputs),)


def _plain(module: nn.Module, *inputs: torch.Tensor) -> fx.GraphModule:
    module.eval()
    graph = plain_graph(torch.export.export(module, inputs), inputs)
    other = [torch.randn_like(item) for item in inputs]
    torch.testing.assert_close(graph(*other), module(*other), rtol=1e-4, atol=1e-5)
    return graph


def _kinds(graph: fx.GraphModule) -> list[str]:
    """The graph's calls in order: a module's class, else the function or method."""
    names = []
    for node in graph.graph.nodes:
        if node.op == "call_module":
            names.append(type(graph.get_submodule(node.target)).__name__)
        elif node.op.startswith("call"):
            names.append(str(getattr(node.target, "__name__", node.target)))
    return names


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for tensor in (norm.running_mean, norm.weight.data, norm.bias.data):
        tensor.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def test_batch_norm_goes_into_the_convolution() -> None:
    """Convolution, batch norm and ReLU become two modules that fuse."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3), _norm(8), nn.ReLU())
    graph = _plain(_Of(lambda self, x: self.body(x), body=module), torch.randn(1, 3, 8, 8))
    assert _kinds(graph) == ["Conv2d", "ReLU"]


def test_channels_last_code_loses_its_permutes() -> None:
    """What Keras traces: permutes around the convolution, bias and norm as loose arithmetic behind it."""

    def run(self: _Of, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = functional.relu((y + self.norm.bias - self.norm.running_mean) * self.norm.weight)
        return self.conv2(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    module = _Of(run, conv=nn.Conv2d(3, 8, 3, bias=False), norm=_norm(8), conv2=nn.Conv2d(8, 4, 3))
    graph = _plain(module, torch.randn(1, 8, 8, 3))
    assert _kinds(graph) == ["permute", "Conv2d", "ReLU", "Conv2d", "permute"]


def test_a_norm_before_the_convolution_stays_arithmetic() -> None:
    """It cannot go backwards through zero padding."""
    module = nn.Sequential(_norm(3), nn.Conv2d(3, 8, 3, padding=1))
    graph = _plain(_Of(lambda self, x: self.body(x), body=module), torch.randn(1, 3, 8, 8))
    assert _kinds(graph) == ["mul", "add", "Conv2d"]


def test_a_value_used_twice_is_not_folded_away() -> None:
    """The convolution's own output is needed beside the scaled one."""

    def run(self: _Of, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y * 3 + functional.relu(y)

    graph = _plain(_Of(run, conv=nn.Conv2d(3, 8, 3)), torch.randn(1, 3, 8, 8))
    assert "mul" in _kinds(graph)


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Conv2d(4, 8, 3, stride=2, padding=1, dilation=2, groups=2),
        lambda: nn.Conv2d(4, 8, 3, padding="same"),
        lambda: nn.Conv2d(4, 8, (1, 3), bias=False),
        lambda: nn.Linear(8, 5),
        lambda: nn.Linear(8, 5, bias=False),
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 8, 3), nn.ReLU6()),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 4), nn.Hardtanh(0, 6)),
        lambda: nn.Sequential(nn.AvgPool2d(2), nn.Hardswish(), nn.AdaptiveAvgPool2d(1)),
    ],
)
def test_layers_keep_their_meaning(build: Callable[[], nn.Module]) -> None:
    """Strides, groups, dilation, missing biases, transposed convolutions, clamps, pooling."""
    torch.manual_seed(0)
    _plain(_Of(lambda self, x: self.body(x), body=build()), torch.randn(1, 4, 8, 8))


def test_subtracting_from_and_dividing_by_a_layer_are_not_folded() -> None:
    """Only y - c and y / c are per-channel affine; c - y and c / y are something else."""

    def run(self: _Of, x: torch.Tensor) -> torch.Tensor:
        return 1 - self.first(x) + 1 / (self.second(x).abs() + 1)

    module = _Of(run, first=nn.Conv2d(3, 8, 3), second=nn.Conv2d(3, 8, 3))
    _plain(module, torch.randn(1, 3, 8, 8))


def test_a_constant_that_differs_by_place_is_not_folded() -> None:
    """A bias map over height and width is no per-channel bias."""

    def run(self: _Of, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.map.weight

    module = _Of(run, conv=nn.Conv2d(3, 8, 3), map=nn.Embedding(6, 6))
    assert _kinds(_plain(module, torch.randn(1, 3, 8, 8))) == ["Conv2d", "add"]


def test_residual_connections_survive() -> None:
    """Two convolutions of the same input, added."""

    def run(self: _Of, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.first(x) + self.second(x))

    module = _Of(run, first=nn.Conv2d(3, 8, 3), second=nn.Conv2d(3, 8, 3))
    assert _kinds(_plain(module, torch.randn(1, 3, 8, 8))) == ["Conv2d", "Conv2d", "add", "ReLU"]


class TestBranches:
    def test_both_sides_are_computed_and_one_is_taken(self) -> None:
        """Nested ones too; what is not taken may be NaN."""
        from edgekit_converters.torch_graph.branches import without_branches

        class Nested(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                def high(value: torch.Tensor) -> torch.Tensor:
                    return torch.cond(value.sum() > 3, lambda v: v * 3, lambda v: v * 2, (value,))

                return torch.cond(x.sum() > 0, high, lambda v: torch.sqrt(-v), (x,))

        example = (torch.ones(1, 2),)
        program, count = without_branches(torch.export.export(Nested(), example), example)
        assert count == 2
        assert not any("cond" in str(node.target) for node in program.graph.nodes)
        for value in (1.0, 2.0, -4.0):
            given = torch.full((1, 2), value)
            assert torch.equal(program.module()(given), Nested()(given))

    def test_a_program_without_any_is_left_as_it_is(self) -> None:
        """The very same."""
        from edgekit_converters.torch_graph.branches import without_branches

        example = (torch.ones(1, 2),)
        program = torch.export.export(torch.nn.ReLU(), example)
        assert without_branches(program, example) == (program, 0)
