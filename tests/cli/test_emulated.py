"""From a model to figures on an emulated Raspberry Pi: converted here; provisioned, pushed, checked, measured there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit_cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.peer]

NET = Path(__file__).parents[1] / "models" / "net.py"

FORMATS = ("tflite", "onnx", "torchscript")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network in three formats, fp32 and int8, for a Raspberry Pi 4."""
    folder = tmp_path_factory.mktemp("emulated")
    samples = np.random.default_rng(0).standard_normal((32, 1, 8, 8)).astype(np.float32)
    np.savez(folder / "samples.npz", image=samples)
    formats = [word for name in FORMATS for word in ("--format", name)]
    how = ["--calibration", str(folder / "samples.npz"), "--target", "raspberrypi4", "-o", str(folder), "--name", "net"]
    assert main(["convert", f"{NET}:make_net", *formats, "-p", "fp32", "-p", "int8", *how]) == 0
    return folder


def measured(device: str, folder: Path, formats: Sequence[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Measure; the runs by format and precision."""
    paths = [str(path) for name in formats for path in sorted(folder.glob(f"*{name}*.edgekit"))]
    assert len(paths) == 2 * len(formats)
    capsys.readouterr()
    assert main(["bench", *paths, "--device", device, "--repeat", "1", "--min-time", "50ms", "--json"]) == 0
    found = [item["run"] for item in json.loads(capsys.readouterr().out)["runs"]]
    return {f"{run['artifact']['format']} {run['artifact']['precision']}": run for run in found}


def check(runs: dict[str, Any], package: str) -> None:
    """Each on that machine, with that package, as good as it was here, and never to be taken for a real board's."""
    for run in runs.values():
        environment = run["environment"]
        assert (environment["machine"], environment["kind"]) == ("aarch64", "emulated")
        assert environment["board"] == "Raspberry Pi 4 Model B"
        assert package in environment["packages"]
        assert run["golden"]["passed"]


def test_litert_and_onnx_runtime(pi4: str, artifacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The runtimes of today."""
    for runtime in ("litert", "onnxruntime"):
        assert main(["provision", pi4, "--runtime", runtime]) == 0
    (path,) = artifacts.glob("*tflite-int8*.edgekit")
    assert main(["push", str(path), "--device", pi4, "--check"]) == 0
    assert "golden vectors pass there" in capsys.readouterr().out
    runs = measured(pi4, artifacts, ["tflite", "onnx"], capsys)
    assert sorted(runs) == ["onnx fp32", "onnx int8", "tflite fp32", "tflite int8"]
    check({name: run for name, run in runs.items() if "tflite" in name}, "ai-edge-litert")
    check({name: run for name, run in runs.items() if "onnx" in name}, "onnxruntime")


def test_tflite_runtime(pi4: str, artifacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What older boards have."""
    assert main(["provision", pi4, "--runtime", "litert", "--remove"]) == 0
    assert main(["provision", pi4, "--runtime", "tflite-runtime", "--version", "2.14.0"]) == 0
    runs = measured(pi4, artifacts, ["tflite"], capsys)
    check(runs, "tflite-runtime")
    assert {run["environment"]["packages"]["tflite-runtime"] for run in runs.values()} == {"2.14.0"}


def test_torch(pi4: str, artifacts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the last PyTorch whose kernels for int8 on Arm are QNNPACK's."""
    assert main(["provision", pi4, "--runtime", "torch", "--version", "2.5.1"]) == 0
    runs = measured(pi4, artifacts, ["torchscript"], capsys)
    check(runs, "torch")
    assert sorted(runs) == ["torchscript fp32", "torchscript int8"]
