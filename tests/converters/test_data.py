"""Calibration and evaluation data in the forms that people have them, through a whole conversion."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.images import Images
from edgekit.planning import Request, plan_conversion
from edgekit.source import open_source
from edgekit_cli.main import main

pytestmark = pytest.mark.slow

NET = """
import numpy as np
import torch
from torch import nn

def make_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

def samples():
    for place in range(16):
        image = np.load("pixels.npy")[place]
        yield {"input": image, "label": int(image.mean() > 0)}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network, images in two classes, and the same as arrays."""
    (tmp_path / "net.py").write_text(NET)
    pixels = np.random.default_rng(0).standard_normal((16, 3, 12, 12)).astype(np.float32)
    np.save(tmp_path / "pixels.npy", pixels)
    for place in range(16):
        folder = tmp_path / "images" / ("bright" if place % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(place).integers(0, 128, (20, 24, 3)) + 127 * (place % 2)
        Image.fromarray(noise.astype(np.uint8)).save(folder / f"{place:02d}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _converted(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["convert", "net.py:make_net", "-f", "torchscript", "-p", "int8", "-o", "out", "--json", *words]) == 0
    (artifact,) = json.loads(capsys.readouterr().out)["artifacts"]
    found: dict[str, Any] = artifact
    return found


def test_a_folder_of_images_calibrates_and_evaluates(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shapes, preprocessing and labels come from it; the manifest says how, and a changed mean makes it anew."""
    words = ["--calibration", "images", "--eval", "images", "--image-size", "12x12"]
    first = _converted(capsys, *words, "--mean", "0.5,0.5,0.5", "--std", "0.25")
    plan = first["manifest"]["plan"]
    assert plan["calibration"]["samples"] == 16
    assert plan["calibration"]["images"] == {"size": [12, 12], "mean": [0.5, 0.5, 0.5], "std": [0.25]}
    assert first["manifest"]["signature"]["inputs"][0]["shape"] == [1, 3, 12, 12]
    assert first["manifest"]["parity"]["accuracy"]["samples"] == 16
    assert "pillow" in first["manifest"]["packages"]
    (work / "edgekit.toml").write_text('[images]\nsize = "12x12"\nmean = [0.5, 0.5, 0.5]\nstd = [0.25]\n')
    assert _converted(capsys, *words[:4])["cached"]
    assert _key(Images(mean=(0.5,))) != _key(Images(mean=(0.4,)))
    edgekit.verify(edgekit.load_artifact(first["path"]), evaluation="images")  # preprocessed as it was


def _key(images: Images) -> str:
    """What an artifact is found by in the cache."""
    (planned,) = plan_conversion(
        Request(
            source=open_source("net.py:make_net"), formats=("torchscript",), precisions=("int8",), out=Path(),
            calibration="images", images=images,
        )
    )  # fmt: skip
    return planned.key


def test_a_function_yields_samples(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Streamed; the file that it reads decides whether the artifact is made anew."""
    words = ["--calibration", "net.py:samples", "--eval", "net.py:samples"]
    first = _converted(capsys, *words)
    assert first["manifest"]["plan"]["calibration"]["samples"] == 16
    assert first["manifest"]["parity"]["accuracy"]["samples"] == 16
    assert _converted(capsys, *words)["cached"]
    np.save(work / "pixels.npy", np.load(work / "pixels.npy") * 2)
    again = _converted(capsys, *words)
    assert not again["cached"]
    assert again["manifest"]["plan"]["calibration"]["sha256"] != first["manifest"]["plan"]["calibration"]["sha256"]


def test_python_takes_an_iterator_and_image_settings(work: Path) -> None:
    """Samples are written one by one, never held together."""
    import torch
    from torch import nn

    artifact = edgekit.convert(
        nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU()),
        example_inputs=torch.zeros(1, 3, 12, 12),
        format="torchscript",
        precision="int8",
        calibration=(np.load("pixels.npy")[place] for place in range(4)),
        evaluation="images",
        images=Images(std=(0.5,)),
        out=work / "live",
    )
    plan = artifact.manifest.plan
    assert plan.calibration is not None
    assert plan.evaluation is not None
    assert (plan.calibration.samples, plan.evaluation.images) == (4, Images(std=(0.5,)))
