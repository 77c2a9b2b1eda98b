"""Models that reach another framework through an ONNX graph: names are kept, and the file itself says what is right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.artifact import Artifact
from edgekit.conversion import convert_all
from edgekit.errors import EdgekitError
from edgekit.plan import Format, Precision
from edgekit.planning import Request
from edgekit.source import open_source, parse_input
from models import net

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

NET = Path(net.__file__)


def convert(source: str, format_: Format, out: Path, precision: Precision = "fp32", **options: Any) -> Artifact:
    """Convert a model file."""
    opened = open_source(source, inputs=tuple(parse_input(text) for text in options.pop("inputs", ())))
    outcome = convert_all(Request(source=opened, formats=(format_,), precisions=(precision,), out=out, **options))
    for failed in outcome.not_made:
        raise failed.error
    return outcome.made[0].artifact


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as an ONNX and a TFLite file, and one with two inputs and outputs as each."""
    folder = tmp_path_factory.mktemp("net")
    net.write(folder)
    two = {"inputs": ("left=1x4", "right=1x4")}
    for format_, suffix in (("onnx", ".onnx"), ("tflite", ".tflite")):
        for name, source, options in (("net", "make_net", {"inputs": ("image=1x1x8x8",)}), ("two", "make_two", two)):
            made = convert(f"{NET}:{source}", format_, folder / f"{name}-{format_}", **options)  # type: ignore[arg-type]
            (folder / f"{name}{suffix}").write_bytes((made.path / made.manifest.model).read_bytes())
    return folder


WAYS = [("onnx", "tflite"), ("onnx", "torchscript"), ("tflite", "onnx"), ("tflite", "torchscript")]


@pytest.mark.parametrize(("from_", "to"), WAYS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_in_another_framework(from_: str, to: Format, precision: Precision, work: Path, tmp_path: Path) -> None:
    """As near to the source as a way without a translation; the manifest tells of it."""
    calibration = str(work / "samples.npz") if precision == "int8" else ""
    manifest = convert(str(work / f"net.{from_}"), to, tmp_path, precision, calibration=calibration).manifest
    assert manifest.parity.passed
    assert manifest.parity.worst.relative_rms < (1e-5 if precision == "fp32" else 0.1)
    assert any("took" in note for note in manifest.notes)
    assert (manifest.quantized is None) == (precision == "fp32")


@pytest.mark.parametrize(("from_", "to"), WAYS)
def test_names_tell_outputs_apart(from_: str, to: Format, work: Path, tmp_path: Path) -> None:
    """Two of one shape are not mixed up: parity would show it."""
    manifest = convert(str(work / f"two.{from_}"), to, tmp_path).manifest
    assert manifest.parity.passed
    assert [spec.name for spec in manifest.signature.inputs] == ["left", "right"]
    assert [spec.name for spec in manifest.signature.outputs] == ["difference", "opposite"]


@pytest.mark.parametrize("to", ["tflite", "torchscript"])
def test_an_operator_that_cannot_be_translated_is_named(to: Format, tmp_path: Path) -> None:
    """And the file as it is remains a way."""
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))
    branches = {
        name: helper.make_graph([helper.make_node(operator, ["x"], ["y"])], name, [], [value])
        for name, operator in (("then_branch", "Neg"), ("else_branch", "Abs"))
    }
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], **branches)], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4)),
         helper.make_tensor_value_info("c", TensorProto.BOOL, ())], [value],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(EdgekitError, match="it has no If") as caught:
        convert(str(tmp_path / "net.onnx"), to, tmp_path / "out")
    assert "--format onnx" in caught.value.hint
    assert not list((tmp_path / "out").glob("*"))


def test_a_cut_file_is_refused_by_its_own_reader(work: Path, tmp_path: Path) -> None:
    """Before anything is translated."""
    (tmp_path / "net.onnx").write_bytes((work / "net.onnx").read_bytes()[:1000])
    with pytest.raises(EdgekitError, match="is no ONNX file"):
        convert(str(tmp_path / "net.onnx"), "tflite", tmp_path / "out")


def test_data_of_a_source_decide_its_shapes_no_more(work: Path, tmp_path: Path) -> None:
    """A file knows its own: samples of another shape are refused, with both shapes."""
    np.savez(tmp_path / "data.npz", image=np.ones((4, 1, 9, 9), np.float32))
    with pytest.raises(EdgekitError, match="has shape 1x9x9, the model wants 1x8x8"):
        convert(str(work / "net.onnx"), "tflite", tmp_path, "int8", calibration=str(tmp_path / "data.npz"))
