"""Outputs are matched by name, and by value where names were lost: two of one shape are never swapped."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.conversion import convert_all
from edgekit.errors import ConversionError
from edgekit.model import TensorSpec
from edgekit.plan import Format
from edgekit.planning import Request
from edgekit.source import open_source
from edgekit_converters.sources.matching import match_by_value

ZOO = Path(__file__).parents[1] / "zoo" / "nets.py"

KERAS = """
import sys
import keras

left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
a, b = keras.layers.Dense(6)(left), keras.layers.Dense(6)(right)
outputs = [keras.layers.Add(name="total")([a, b]), keras.layers.Subtract(name="difference")([a, b])]
model = keras.Model([left, right], outputs)
model.export(sys.argv[1] + "/two_saved", verbose=False)
"""


def _outputs(source: str, formats: tuple[Format, ...], out: Path) -> dict[str, tuple[bool, tuple[str, ...], str]]:
    """By format: whether parity holds, the outputs' names, the notes."""
    inputs = [TensorSpec(name=name, shape=(1, 8), dtype="float32") for name in ("left", "right")]
    request = Request(
        source=open_source(source, inputs=inputs if ".py:" in source else ()), formats=formats, precisions=("fp32",),
        out=out, use_cache=False,
    )  # fmt: skip
    outcome = convert_all(request)
    assert [item.error.cause for item in outcome.not_made] == []
    manifests = [item.artifact.manifest for item in outcome.made]
    return {
        item.format: (item.parity.passed, tuple(spec.name for spec in item.signature.outputs), " ".join(item.notes))
        for item in manifests
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_outputs_of_one_shape_keep_their_names_from_pytorch(tmp_path: Path) -> None:
    """Their sum and their difference: swapped, neither would be within its bar."""
    found = _outputs(f"{ZOO}:two", ("tflite", "torchscript", "onnx"), tmp_path)
    assert {format_: facts[:2] for format_, facts in found.items()} == dict.fromkeys(
        ("tflite", "torchscript", "onnx"), (True, ("total", "difference"))
    )


@pytest.mark.slow
def test_outputs_whose_names_a_translation_lost_are_matched_by_value(tmp_path: Path) -> None:
    """A SavedModel by way of ONNX: the notes say so, and names are in one order in every process."""
    subprocess.run([sys.executable, "-c", KERAS, str(tmp_path)], check=True, capture_output=True)
    found = _outputs(str(tmp_path / "two_saved"), ("onnx",), tmp_path / "saved")
    passed, names, notes = found["onnx"]
    assert passed
    assert names == ("output_0", "output_1")
    assert "matched by their values" in notes


def test_the_best_pair_is_matched_first() -> None:
    """However the graph orders them, and although quantization moved them a little."""
    expected = [{"a": np.array([1.0, 2.0]), "b": np.array([2.0, 1.0]), "c": np.zeros((2, 2))}]
    got = [[np.zeros((2, 2)), np.array([2.01, 1.0]), np.array([1.0, 2.02])]]
    assert match_by_value(expected, got) == ["c", "b", "a"]


def test_an_output_of_no_known_shape_is_refused() -> None:
    """It belongs to nothing that the source gives."""
    with pytest.raises(ConversionError, match="Output 1 of the translated graph"):
        match_by_value([{"a": np.zeros(2), "b": np.zeros(2)}], [[np.zeros(2), np.zeros(3)]])
