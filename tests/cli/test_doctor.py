"""`edgekit doctor`: what works, what does not, and the command that mends it."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from edgekit import catalog
from edgekit.diagnosis import conversions, diagnose, module_version
from edgekit.model import Representation, SourceKind
from edgekit.plan import Format, Precision
from edgekit.protocols import Converter, Requirement, Runtime, SourceReader, Transport
from edgekit_cli import main as cli

HERE = Requirement(module="json", extra="json")
TORCH = Requirement(module="torch", extra="torch")
KERAS = Requirement(module="keras", extra="keras")
QUANTIZER = Requirement(module="ai_edge_quantizer", extra="litert-torch")


class _Reader:
    def __init__(self, name: str, kinds: Sequence[SourceKind], into: Representation, *requires: Requirement) -> None:
        self.name, self.kinds, self.representation, self.requires = name, kinds, into, requires
        self.environment: Mapping[str, str] = {}


class _Converter:
    precisions: Sequence[Precision] = ("fp32", "int8")

    def __init__(self, name: str, source: Representation, into: Format, *for_int8: Requirement) -> None:
        self.name, self.representation, self.format, self._for_int8 = name, source, into, for_int8

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        return self._for_int8 if precision == "int8" else ()


class _Runtime:
    def __init__(self, name: str, runs: Format, *requires: Requirement) -> None:
        self.name, self.format, self.requires = name, runs, requires


class _Transport:
    scheme = "local"


class _Targets:
    def load(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(title=f"the {name}")


READERS = cast(
    "Sequence[SourceReader]",
    [
        _Reader("pytorch", ["pytorch"], "torch", TORCH),
        _Reader("keras-tensorflow", ["keras"], "tensorflow", KERAS, TORCH),
        _Reader("keras-torch", ["keras"], "torch", HERE),
    ],
)
CONVERTERS = cast(
    "Sequence[Converter]",
    [_Converter("plain", "torch", "tflite", QUANTIZER), _Converter("other", "tensorflow", "tflite")],
)
RUNTIMES = cast("Sequence[Runtime]", [_Runtime("far", "tflite", KERAS), _Runtime("near", "tflite", HERE)])


@pytest.fixture
def _small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three readers, two converters, two runtimes; torch, keras and the quantizer are not installed."""
    absent = {need.module for need in (TORCH, KERAS, QUANTIZER)}
    monkeypatch.setattr(catalog, "_installed", lambda module: module not in absent)
    for part, found in [("readers", READERS), ("converters", CONVERTERS), ("runtimes", RUNTIMES)]:
        monkeypatch.setattr(catalog, part, lambda found=found: found)
    monkeypatch.setattr(catalog, "transports", lambda: cast("Sequence[Transport]", [_Transport()]))
    monkeypatch.setattr(catalog, "targets", _Targets)


@pytest.mark.usefixtures("_small_world")
def test_a_way_is_a_reader_and_a_converter_of_one_representation() -> None:
    """Every source kind is told once for each format and precision, by the pair that lacks least."""
    found = {(way.kind, way.precision): way for way in conversions(READERS, CONVERTERS, RUNTIMES)}
    assert found["pytorch", "fp32"].missing == ("torch",)
    assert found["pytorch", "int8"].missing == ("torch", "ai_edge_quantizer")
    assert found["keras", "fp32"].missing == ()
    assert found["keras", "fp32"].reader == "keras-torch"
    assert found["keras", "int8"].missing == ("ai_edge_quantizer",)


@pytest.mark.usefixtures("_small_world")
def test_an_artifact_needs_a_runtime_too() -> None:
    """Parity is measured for every artifact, so that a format nothing runs here cannot be made here."""
    only_far = [way.missing for way in conversions(READERS, CONVERTERS, RUNTIMES[:1]) if way.reader == "keras-torch"]
    assert only_far[0] == ("keras",)


def test_versions_come_from_the_distributions() -> None:
    """Modules named unlike their distribution are found as well."""
    assert module_version("click").count(".") >= 1
    assert module_version("sklearn") != "unknown"
    assert module_version("json") == "unknown"


@pytest.mark.usefixtures("_small_world")
def test_what_is_missing_is_told_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A user sees what cannot be done, why, and what to type."""
    assert cli.main(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "pytorch to tflite no: needs torch, ai_edge_quantizer" in shown
    assert "keras to tflite fp32 (not int8: needs ai_edge_quantizer)" in shown
    assert re.search(r"pip install 'safetensors>=0.4' 'torch<2.15,>=2.5' +# pytorch to tflite", shown)
    assert "by local:" in shown


@pytest.mark.usefixtures("_small_world")
def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Machines get every way with what it lacks."""
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["devices"] == ["local:"]
    assert {"module": "torch", "extra": "torch", "version": None} in told["packages"]
    fp32, int8 = (way["install"] for way in told["conversions"] if way["kind"] == "pytorch")
    assert fp32 == "pip install 'safetensors>=0.4' 'torch<2.15,>=2.5'"
    assert "'ai-edge-quantizer>=0.10'" in int8


def test_a_part_that_does_not_load_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An extension with a broken import is named, the rest is told all the same, and the check fails."""

    def broken() -> Sequence[SourceReader]:
        raise ImportError("No module named 'their_extension'")

    monkeypatch.setattr(catalog, "readers", broken)
    assert cli.main(["doctor"]) == 1
    assert "their_extension" in capsys.readouterr().out


def test_here_everything_is_installed() -> None:
    """Where the tests run every way works, and nothing is broken."""
    found = diagnose()
    assert found.problems == ()
    assert [way for way in found.conversions if way.missing] == []
    assert {(way.kind, way.format) for way in found.conversions} >= {("pytorch", "tflite"), ("keras", "torchscript")}


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))
from edgekit_cli.main import main
code = main(["doctor", "--json"])
loaded = {"torch", "keras", "numpy", "ai_edge_litert"} & {name for name, module in sys.modules.items() if module}
assert not loaded, loaded
sys.exit(code)
"""


def _without(*modules: str) -> dict[tuple[str, str], bool]:
    """What doctor calls usable, by source kind and format, where some modules cannot be found."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(modules)], capture_output=True, check=True, cwd=Path(__file__).parent
    )
    told = json.loads(done.stdout)["conversions"]
    pairs = {(way["kind"], way["format"]) for way in told}
    return {pair: all(not way["missing"] for way in told if (way["kind"], way["format"]) == pair) for pair in pairs}


def test_without_tensorflow_pytorch_still_converts() -> None:
    """TensorFlow serves Keras and SavedModel; PyTorch needs none of it. Nothing is imported to tell."""
    usable = _without("tensorflow")
    assert usable["pytorch", "tflite"]
    assert usable["pytorch", "torchscript"]
    assert usable["keras", "torchscript"]
    assert not usable["savedmodel", "tflite"]


def test_without_any_framework_nothing_converts() -> None:
    """The command works in the base installation, and promises nothing there."""
    frameworks = ("tensorflow", "torch", "keras", "litert_torch", "ai_edge_litert", "onnx", "onnxruntime")
    assert not any(_without(*frameworks).values())
