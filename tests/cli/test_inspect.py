"""`edgekit inspect` and `edgekit verify` as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit_cli.main import main

NET = Path(__file__).parents[1] / "models" / "net.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, data and one artifact."""
    folder = tmp_path_factory.mktemp("work")
    subprocess.run([sys.executable, str(NET), str(folder)], check=True)
    arguments = ["convert", f"{NET}:make_net", "--weights", str(folder / "net.pt"), "-f", "torchscript", "-p", "int8"]
    arguments += ["--calibration", str(folder / "samples.npz"), "--eval", str(folder / "test.npz"), "-o", str(folder)]
    assert main(arguments) == 0
    return folder


def _artifact(work: Path) -> str:
    return str(work / "net-torchscript-int8.edgekit")


def test_an_artifact_is_shown_from_its_manifest(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signature, parity, quantization, operators and provenance, in 80 columns."""
    assert main(["inspect", _artifact(work)]) == 0
    out = capsys.readouterr().out
    for fact in (
        "torchscript int8",
        "image 1x1x8x8 float32",
        "logits 1x10",
        "100% of weights",
        "samples.npz, 64 samples",
    ):
        assert fact in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_source_is_shown_without_converting_it(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Framework, signature, parameters and layers."""
    arguments = ["inspect", f"{NET}:make_net", "--weights", str(work / "net.pt"), "--input", "image=1x1x8x8", "--json"]
    assert main(arguments) == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert facts["parameters"] == 10026
    assert facts["operators"]["Conv2d"] == 2
    assert facts["signature"]["outputs"][0]["name"] == "logits"


def test_what_is_neither_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with nothing in it is no artifact and no SavedModel."""
    assert main(["inspect", str(tmp_path)]) == 2
    assert "saved_model.pb" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "net.edgekit")]) == 2
    assert "no artifact" in capsys.readouterr().err


def test_verify_measures_parity_now(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against the golden vectors, and with labels the accuracy."""
    assert main(["verify", _artifact(work), "--eval", str(work / "test.npz")]) == 0
    out = capsys.readouterr().out
    assert "dB to the source" in out
    assert "8 golden vectors" in out
    assert "accuracy" in out


def test_verify_fails_an_artifact_of_another_model(work: Path, tmp_path: Path) -> None:
    """Exit code 1: the same code, other weights."""
    import torch

    from models import net

    torch.manual_seed(3)
    torch.save(net.make_net().state_dict(), tmp_path / "other.pt")
    arguments = ["verify", _artifact(work), "--against", f"{NET}:make_net", "--weights", str(tmp_path / "other.pt")]
    assert main(arguments) == 1


def test_verify_refuses_a_source_with_another_interface(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another model altogether is bad input, not bad parity."""
    arguments = [
        "verify",
        _artifact(work),
        "--against",
        f"{NET}:make_two",
        "--input",
        "left=1x3",
        "--input",
        "right=1x3",
    ]
    assert main(arguments) == 2
    assert "differ" in capsys.readouterr().err


def test_a_damaged_artifact_is_refused(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Truncated model files are found by size and hash."""
    import shutil

    copy = shutil.copytree(_artifact(work), tmp_path / "cut.edgekit")
    (copy / "model.ptl").write_bytes((copy / "model.ptl").read_bytes()[:1000])
    for command in ("inspect", "verify"):
        assert main([command, str(copy)]) == 2
        assert "model.ptl is damaged" in capsys.readouterr().err
