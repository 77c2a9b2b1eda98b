"""`edgekit routes`: what becomes what, from the code, and so in the README."""

import json
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit_cli.main import main

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_what_the_code_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    """`edgekit routes --markdown` wrote its table."""
    assert main(["routes", "--markdown"]) == 0
    assert capsys.readouterr().out.strip() in README.read_text("utf-8")


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Precisions by source and format, with who makes them; 80 columns."""
    assert main(["routes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["tflite", "fp32,"] for line in lines)
    assert "by tflite-tflite" in {line.strip() for line in lines}
    assert any("16-bit activations" in line for line in lines[lines.index("what no source becomes") :])
    assert max(map(len, lines)) <= 80


def test_for_machines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every route, with what is missing for it."""
    monkeypatch.setattr(catalog, "_installed", lambda module: module != "onnxscript")
    assert main(["routes", "--json"]) == 0
    routes = json.loads(capsys.readouterr().out)["routes"]
    made = {(item["kind"], item["format"]): item for item in routes if item["precision"] == "fp32"}
    assert made["pytorch", "onnx"]["missing"] == ["onnxscript"]
    assert "onnxscript" in made["pytorch", "onnx"]["install"]
    assert made["onnx", "onnx"]["missing"] == []
