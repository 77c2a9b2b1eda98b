"""`edgekit check`: what will not work is named with its layer, and exit code 1; what works is shown with its costs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.paths import cache_folder
from edgekit_cli.main import main

NET = Path(__file__).parents[1] / "models" / "net.py"

ODD = """
import torch
from torch import nn

class Roots(nn.Module):
    def forward(self, x):
        return torch.linalg.svdvals(x)

class Choice(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x - 1

class Sort(nn.Module):
    def forward(self, x):
        return torch.topk(x, 3).values

def roots():
    return nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.ReLU(), Roots()))

def choice():
    return nn.Sequential(nn.Linear(8, 8), Choice())

def sort():
    return nn.Sequential(nn.Linear(8, 8), Sort())
"""


def _checked(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> list[dict[str, Any]]:
    assert main(["check", *words, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["works"] is (code == 0)
    checked: list[dict[str, Any]] = found["checked"]
    return checked


def test_what_shows_without_a_framework_is_told_for_each_artifact(capsys: pytest.CaptureFixture[str]) -> None:
    """No calibration, no runtime on the target: each its own line and next step."""
    words = [f"{NET}:make_net", "-f", "tflite", "-f", "torchscript", "-p", "int8", "--target", "linux-armv7"]
    tflite, torchscript = _checked(capsys, 1, *words)
    assert not tflite["made"]
    assert "needs calibration data" in tflite["problems"][0]["cause"]
    assert "--calibration" in tflite["problems"][0]["hint"]
    assert main(["check", f"{NET}:make_net", "-f", "torchscript", "--target", "linux-armv7"]) == 1
    assert "no runtime for torchscript" in capsys.readouterr().out
    assert torchscript["label"] == "torchscript int8"


def test_a_source_that_is_missing_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, as everywhere."""
    assert main(["check", "absent.onnx", "-f", "tflite"]) == 2
    assert "absent.onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_what_works_is_shown_with_who_executes_it_and_its_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Delegate, activations, what it grew by, what the target has, a microcontroller's arena; made, it is cached."""
    from models import net

    net.write(tmp_path)
    words = [f"{NET}:make_net", "--weights", str(tmp_path / "net.pt"), "-f", "tflite", "-p", "int8"]
    words += ["--calibration", str(tmp_path / "samples.npz")]
    (tflite,) = _checked(capsys, 0, *words, "--target", "raspberrypizero2w")
    placement, memory = tflite["placement"], tflite["memory"]
    assert placement["engine"] == "XNNPACK"
    assert placement["taken"] == placement["operators"] > 5
    assert placement["fallbacks"] == []
    assert memory["activations"] == 3072  # the first convolution's 16x8x8 and the second's 32x8x8, in int8
    assert 0 < memory["held"] < 50_000_000
    assert memory["available"] < 512 << 20
    assert 3072 < placement["microcontroller"]["arena_bytes"] < 20_000
    assert len(list((cache_folder() / "artifacts").iterdir())) == 1
    assert main(["check", *words, "--target", "raspberrypizero2w"]) == 0
    assert "XNNPACK executes" in capsys.readouterr().out


@pytest.mark.slow
def test_unsupported_operators_are_named_with_the_layer_that_uses_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused by the converter, by the runtime that is to load it, or because a branch depends on data."""
    (tmp_path / "odd.py").write_text(ODD)
    words = ["-f", "tflite", "--input", "4x8"]
    (roots,) = _checked(capsys, 1, f"{tmp_path}/odd.py:roots", *words)
    assert "aten._linalg_svd" in roots["problems"][0]["cause"]
    assert "used by 1.1 (Roots)" in roots["problems"][0]["cause"]
    (choice,) = _checked(capsys, 1, f"{tmp_path}/odd.py:choice", *words)
    assert "odd.py line 11: if x.sum() > 0" in choice["problems"][0]["cause"]
    (sort,) = _checked(capsys, 1, f"{tmp_path}/odd.py:sort", *words)
    assert "STABLEHLO_SORT" in sort["problems"][0]["cause"]
    assert "used by Sort_1" in sort["problems"][0]["cause"]


@pytest.mark.slow
def test_layers_that_fall_back_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the delegate does not take runs in built-in kernels."""
    (tmp_path / "odd.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Running(nn.Module):\n    def forward(self, x):\n"
        "        return torch.cumsum(x, 1)\n\ndef make():\n    return nn.Sequential(Running(), nn.Linear(8, 8))\n"
    )
    (found,) = _checked(capsys, 0, f"{tmp_path}/odd.py:make", "-f", "tflite", "--input", "1x8")
    fallbacks = {item["operator"]: item for item in found["placement"]["fallbacks"]}
    assert fallbacks["CUMSUM"]["why"] == "built-in kernel, not XNNPACK"
    assert "Running_0" in fallbacks["CUMSUM"]["layers"][0]


@pytest.mark.slow
def test_an_artifact_that_computes_something_else_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A branch that a trace has lost."""
    del tmp_path
    (found,) = _checked(capsys, 1, f"{NET}:make_branchy", "-f", "torchscript", "--input", "x=1x3")
    assert found["made"]
    assert "computes something else than its source" in found["problems"][0]["cause"]


def test_the_most_that_tensors_take_is_found_by_their_lifetimes() -> None:
    """A tensor takes memory from the step that makes it to the last one that takes it."""
    from edgekit.placement import Step, peak_bytes

    steps = [Step("a", ("in", "w"), ("x",)), Step("b", ("x",), ("y",)), Step("c", ("y", "in"), ("out",))]
    sizes = {"in": 10, "x": 100, "y": 1, "out": 5}
    assert peak_bytes(steps, sizes, ["out"]) == 111
    assert peak_bytes([], {"in": 3}, []) == 0
    assert np.isclose(peak_bytes(steps[:1], sizes, ["x"]), 110)
