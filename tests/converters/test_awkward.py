"""Models that a naive conversion breaks: branches, layers that code asks about, vectors, float32 made inside."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekit.artifact import Artifact
from edgekit.conversion import convert_all
from edgekit.plan import FORMATS, Precision
from edgekit.planning import Request
from edgekit.source import open_source, parse_input

pytestmark = pytest.mark.slow

CODE = """
import torch
from torch import nn

class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)
    def forward(self, x):
        state = torch.zeros(1, 1, 8)
        _, after = self.layer(x, (state, state) if isinstance(self.layer, nn.LSTM) else state)
        return self.head(after[0][-1])

def asks():
    torch.manual_seed(0)
    return Asks().eval()

def vector():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
"""


class Branches(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """One layer or the other."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = torch.nn.Linear(6, 3), torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """By the sign of the sum."""
        if bool(x.sum() > 0):
            return self.large(x)
        return self.small(x)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, and samples for vectors of six."""
    folder = tmp_path_factory.mktemp("awkward")
    (folder / "nets.py").write_text(CODE, "utf-8")
    torch.manual_seed(0)
    torch.jit.script(Branches().eval()).save(str(folder / "branches.pt"))
    samples = np.random.default_rng(0).standard_normal((32, 6)).astype(np.float32)
    np.savez(folder / "samples.npz", x=samples)
    return folder


def convert(
    work: Path, name: str, shape: str, out: Path, *precisions: Precision, calibration: str = "", formats: object = None
) -> dict[str, Artifact]:
    """All must be made, and have parity."""
    request = Request(
        source=open_source(str(work / name), inputs=(parse_input(shape),)),
        formats=formats or ("torchscript",),  # type: ignore[arg-type]  # formats by name
        precisions=precisions,
        out=out,
        calibration=calibration,
    )
    outcome = convert_all(request)
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    made = {
        f"{item.artifact.manifest.format} {item.artifact.manifest.precision}": item.artifact for item in outcome.made
    }
    assert [label for label, item in made.items() if not item.manifest.parity.passed] == []
    return made


def test_a_script_with_branches(work: Path, tmp_path: Path) -> None:
    """Goes into every format, quantized too; where there is no control flow both sides are computed, as is said."""
    formats = [name for name in ("tflite", "onnx", "torchscript") if name in FORMATS]
    data = str(work / "samples.npz")
    made = convert(work, "branches.pt", "x=1x6", tmp_path, "fp32", "int8", calibration=data, formats=tuple(formats))
    selected = {label for label, item in made.items() if any("Both sides" in note for note in item.manifest.notes)}
    assert {"tflite fp32", "tflite int8", "onnx int8"} <= selected
    assert not selected & {"onnx fp32", "torchscript fp32"}


def test_code_that_asks_what_its_layers_are(work: Path, tmp_path: Path) -> None:
    """Would take another way with dynamically quantized layers: its exported graph is quantized instead."""
    made = convert(work, "nets.py:asks", "x=1x5x4", tmp_path, "dynamic-int8")
    assert any("exported graph" in note for note in made["torchscript dynamic-int8"].manifest.notes)


def test_vectors_through_dynamic_layers(work: Path, tmp_path: Path) -> None:
    """Which take matrices alone."""
    manifest = convert(work, "nets.py:vector", "input=6", tmp_path, "dynamic-int8")["torchscript dynamic-int8"].manifest
    assert manifest.quantized is not None
    assert manifest.quantized.weights == 1


def test_half_precision_beside_float32_made_inside(work: Path, tmp_path: Path) -> None:
    """A state of zeros is float32 whatever the weights are: half the size all the same."""
    made = convert(work, "nets.py:asks", "x=1x5x4", tmp_path, "fp32", "fp16")
    half, whole = (made[f"torchscript {precision}"].manifest.model_bytes for precision in ("fp16", "fp32"))
    assert half < whole


def test_a_bias_that_two_layers_share(tmp_path: Path) -> None:
    """ONNX Runtime copies it under a name with a number behind it, which another tensor may have already."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    weights = {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3), "b": (4,)}
    held = [numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32) * 0.2, name)
            for name, shape in weights.items()]  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["b0"]),
        helper.make_node("Conv", ["b0", "v", "b"], ["b1"]),
        helper.make_node("Relu", ["b1"], ["y"]),
    ]
    border = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in (("x", (1, 3, 9, 9)), ("y", (1, 4, 5, 5)))]  # fmt: skip
    graph = helper.make_graph(nodes, "net", border[:1], border[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "samples.npz", x=generator.standard_normal((16, 3, 9, 9)).astype(np.float32))
    data = str(tmp_path / "samples.npz")
    convert(tmp_path, "net.onnx", "x=1x3x9x9", tmp_path, "int8", calibration=data, formats=("onnx",))


RATE = """
import torch
from torch import nn

class Rated(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
    def forward(self, x, rate):
        return self.layer(x) * (1.0 if rate.dim() == 0 else 2.0), rate + 1

def rated():
    torch.manual_seed(0)
    return Rated().eval()
"""


def test_an_integer_beside_reals(tmp_path: Path) -> None:
    """Has no range that calibration could find."""
    (tmp_path / "rated.py").write_text(RATE, "utf-8")
    generator = np.random.default_rng(0)
    samples = generator.standard_normal((16, 6)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=samples, rate=np.full(16, 16000, np.int64))
    inputs = (parse_input("x=1x6"), parse_input("rate=1:int64"))
    request = Request(
        source=open_source(f"{tmp_path / 'rated.py'}:rated", inputs=inputs),
        formats=("torchscript",), precisions=("int8",), out=tmp_path / "out", calibration=str(tmp_path / "samples.npz"),
    )  # fmt: skip
    outcome = convert_all(request)
    assert [item.error.cause for item in outcome.not_made] == []
    assert outcome.made[0].artifact.manifest.parity.passed


UNROLLED = """
import torch
from torch import nn

class Unrolled(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
    def forward(self, x):
        y = self.first(x)
        return self.last(y * 1000 + torch.tanh(y) - y * 1000)

def unrolled():
    torch.manual_seed(0)
    return Unrolled().eval()
"""


def test_arithmetic_between_layers_that_eight_bits_do_not_hold(work: Path, tmp_path: Path) -> None:
    """Stays in float in TorchScript: the layers alone are int8, and the manifest says so."""
    (tmp_path / "nets.py").write_text(UNROLLED, "utf-8")
    data = str(work / "samples.npz")
    manifest = convert(tmp_path, "nets.py:unrolled", "x=1x6", tmp_path / "out", "int8", calibration=data)[
        "torchscript int8"
    ].manifest
    assert any("linear layers alone" in note for note in manifest.notes)
    assert manifest.quantized is not None
    assert manifest.quantized.weights == 1
