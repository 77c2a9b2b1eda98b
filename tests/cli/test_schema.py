"""`edgekit schema`: the schema is valid, and the manifests we write obey it."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from edgekit.artifact import MANIFEST_VERSION, Accuracy, FileEntry, Manifest, OutputParity, Parity, SourceFacts
from edgekit.artifact import canonical as canonical_bytes
from edgekit.model import Signature, TensorSpec
from edgekit.plan import ConversionPlan, Route
from edgekit_cli import main as cli


def _manifest() -> Manifest:
    """A complete manifest of a model with one input and one output."""
    output = OutputParity(
        name="logits", max_abs=0.1, rmse=0.01, relative_rms=0.02, cosine=0.999, sqnr_db=34.0, top1_agreement=1.0
    )
    return Manifest(
        manifest_version=MANIFEST_VERSION,
        edgekit="0.1.0",
        name="net",
        format="tflite",
        precision="fp32",
        model="net.tflite",
        signature=Signature(
            inputs=(TensorSpec(name="image", shape=("batch", 1, 8, 8), dtype="float32", layout="NCHW"),),
            outputs=(TensorSpec(name="logits", shape=(1, 10), dtype="float32"),),
        ),
        files=(FileEntry(name="net.tflite", sha256="0" * 64, bytes=12),),
        source=SourceFacts(
            kind="keras", name="net.keras", sha256="1" * 64, framework="keras 3", parameters=10, operators={"Dense": 1}
        ),
        plan=ConversionPlan(
            format="tflite",
            precision="fp32",
            target="host",
            route=Route(reader="keras-tensorflow", representation="tensorflow", converter="tflite-from-tensorflow"),
            max_error=1e-4,
        ),
        packages={"tensorflow": "2.21.0"},
        parity=Parity(
            passed=True,
            max_error=1e-4,
            vectors=8,
            golden_inputs="random",
            runtime="LiteRT 2.3.0",
            outputs=(output,),
            accuracy=Accuracy(artifact=0.98, source=0.99, samples=450),
        ),
        quantized=None,
        operators={"FULLY_CONNECTED": 1},
        reproducible=True,
        notes=("one note",),
    )


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `edgekit schema manifest` prints."""
    assert cli.main(["schema", "manifest"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_the_schema_is_valid(schema: dict[str, Any]) -> None:
    """It obeys the JSON Schema draft that it names."""
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(schema)


def test_a_manifest_obeys_the_schema(schema: dict[str, Any]) -> None:
    """The bytes that an artifact's id is made of validate."""
    jsonschema.Draft202012Validator(schema).validate(json.loads(canonical_bytes(_manifest())))


@pytest.mark.parametrize(
    ("key", "value"), [("format", "onnx"), ("precision", "int2"), ("files", [{"name": "x"}]), ("notes", "text")]
)
def test_a_wrong_manifest_does_not(schema: dict[str, Any], key: str, value: object) -> None:
    """Unknown formats and precisions, incomplete files and wrong types are refused."""
    wrong = msgspec.to_builtins(_manifest()) | {key: value}
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)


def test_an_unknown_schema_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is none ends with 2 and tells those that are."""
    assert cli.main(["schema", "manifst"]) == 2
    assert "manifest" in capsys.readouterr().err
