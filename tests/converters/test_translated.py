"""Models that reach another framework through an ONNX graph: names are kept, and the file itself says what is right."""

import subprocess
import sys
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


def graph_file(path: Path, nodes: list[Any], inputs: Any, outputs: Any, **weights: Any) -> None:
    """An ONNX file of these nodes; shapes of inputs and outputs by name."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    made = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in part.items()]
            for part in (inputs, outputs)]  # fmt: skip
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "net", *made, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_recurrent_layers(kind: str, direction: str, tmp_path: Path) -> None:
    """Which onnx2torch has not: gates in PyTorch's order, states in and out, both directions."""
    from onnx import helper

    generator = np.random.default_rng(0)
    gates, ways = {"LSTM": 4, "GRU": 3}[kind], {"forward": 1, "bidirectional": 2}[direction]
    states = {"h": (ways, 1, 6)} | ({"c": (ways, 1, 6)} if kind == "LSTM" else {})
    options = {"hidden_size": 6, "direction": direction} | ({"linear_before_reset": 1} if kind == "GRU" else {})
    after = [f"{name}_after" for name in states]
    node = helper.make_node(kind, ["x", "w", "r", "b", "", *states], ["y", *after], **options)
    shapes = {"w": (ways, gates * 6, 4), "r": (ways, gates * 6, 6), "b": (ways, 2 * gates * 6)}
    weights = {name: generator.standard_normal(shape).astype(np.float32) * 0.4 for name, shape in shapes.items()}
    outputs = {"y": (5, ways, 1, 6)} | dict(zip(after, states.values(), strict=True))
    graph_file(tmp_path / "net.onnx", [node], {"x": (5, 1, 4)} | states, outputs, **weights)
    manifest = convert(str(tmp_path / "net.onnx"), "torchscript", tmp_path).manifest
    assert manifest.parity.passed
    assert [item.name for item in manifest.parity.outputs] == list(outputs)


def test_padding_by_reflection_of_any_axis(tmp_path: Path) -> None:
    """Of the batch and the channels too, which onnx2torch does not pad, and of a matrix."""
    from onnx import helper

    nodes = [
        helper.make_node("Pad", ["x", "early"], ["y"], mode="reflect"),
        helper.make_node("Pad", ["m", "matrix"], ["n"], mode="edge"),
    ]
    shapes = {"y": (3, 7, 4), "n": (3, 7)}
    pads = {"early": np.array([1, 2, 0, 0, 1, 0]), "matrix": np.array([0, 2, 0, 1])}
    graph_file(tmp_path / "net.onnx", nodes, {"x": (2, 4, 4), "m": (3, 4)}, shapes, **pads)
    manifest = convert(str(tmp_path / "net.onnx"), "torchscript", tmp_path).manifest
    assert manifest.parity.passed


def test_branches_on_shapes_are_gone_with_the_shapes_fixed(tmp_path: Path) -> None:
    """Exporters leave them; onnx2torch has no If."""
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    sides = {
        name: helper.make_graph([helper.make_node(operator, ["x"], ["y"])], name, [], [value])
        for name, operator in (("then_branch", "Neg"), ("else_branch", "Abs"))
    }
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "last"], ["size"]),
        helper.make_node("Equal", ["size", "four"], ["is_four"]),
        helper.make_node("If", ["is_four"], ["y"], **sides),
    ]
    numbers = {"last": np.array(1), "four": np.array(4)}
    graph_file(tmp_path / "net.onnx", nodes, {"x": ("batch", "width")}, {"y": ("batch", "width")}, **numbers)
    manifest = convert(str(tmp_path / "net.onnx"), "torchscript", tmp_path, inputs=("x=1x4",)).manifest
    assert manifest.parity.passed


def test_names_that_are_none_in_python(tmp_path: Path) -> None:
    """`serving_default_x:0`, as TensorFlow has it, or a keyword: kept in the artifact all the same."""
    from onnx import helper

    node = helper.make_node("Sub", ["serving_default_x:0", "class"], ["y:0"])
    graph_file(tmp_path / "net.onnx", [node], {"serving_default_x:0": (1, 4), "class": (1, 4)}, {"y:0": (1, 4)})
    manifest = convert(str(tmp_path / "net.onnx"), "tflite", tmp_path).manifest
    assert manifest.parity.passed
    assert [spec.name for spec in manifest.signature.inputs] == ["serving_default_x:0", "class"]


SAVED = """
import sys
import tensorflow as tf
from tensorflow.python.saved_model import revived_types
from tensorflow.python.trackable import autotrackable

class Optimizer(autotrackable.AutoTrackable):
    def __init__(self, weight):
        super().__init__()
        self._weight, self._slot = [weight], [tf.Variable(tf.zeros(weight.shape))]
    def _trackable_children(self, *_, **__):
        return {}
    def get_slot_names(self):
        return ["m"]
    def get_slot(self, variable, name):
        return self._slot[0] if variable is self._weight[0] else None
    def _create_or_restore_slot_variable(self, *_, **__):
        pass

revived_types.register_revived_type("optimizer", lambda held: isinstance(held, Optimizer), [
    revived_types.VersionedTypeRegistration(lambda _: None, version=2, min_producer_version=1, min_consumer_version=1)
])

class Net(tf.Module):
    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.ones((4, 3)))
        self.optimizer = Optimizer(self.weight)
    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
    def call(self, x):
        y = tf.matmul(x, self.weight)
        return {"last": y, "first": -y, "middle": 2 * y}

net = Net()
tf.saved_model.save(net, sys.argv[1], signatures={"serving_default": net.call})
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with an optimizer's slots, as Keras 2 wrote them, and outputs of one shape in no order."""
    folder = tmp_path_factory.mktemp("saved") / "net"
    subprocess.run([sys.executable, "-c", SAVED, folder], check=True, capture_output=True, timeout=300)
    return folder


@pytest.mark.parametrize("to", ["tflite", "onnx", "torchscript"])
def test_a_saved_model_with_an_old_optimizer(to: Format, saved: Path, tmp_path: Path) -> None:
    """TensorFlow alone does not open it; outputs keep their names through every translation."""
    manifest = convert(str(saved), to, tmp_path).manifest
    assert manifest.parity.passed
    assert {item.name for item in manifest.parity.outputs} == {"first", "middle", "last"}
