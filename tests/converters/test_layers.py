"""`verify --layers`: a layer that was broken on purpose is the one to blame."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.artifact import Artifact, file_entry, load_artifact, write_manifest
from edgekit.conversion import convert_all
from edgekit.errors import UsageError
from edgekit.layers import TracedLayer, compare_layers, short_name
from edgekit.plan import Format
from edgekit.planning import Request
from edgekit.protocols import Array, Tensors
from edgekit.source import open_source
from edgekit.verification import blame_layers
from edgekit_cli.main import main
from models import net


class Fake:
    """A model of named tensors that are given."""

    kernels: str = "nothing"

    def __init__(self, layers: Sequence[tuple[str, str, tuple[str, ...]]], values: Mapping[str, float]) -> None:
        self.layers: Sequence[TracedLayer] = [
            TracedLayer(name=name, operator=kind, inputs=inputs) for name, kind, inputs in layers
        ]
        self._values = values

    def run(self, inputs: Tensors) -> Mapping[str, Array]:
        """Each value twice; the inputs are of no matter."""
        assert inputs is not None
        return {name: np.array([value, value]) for name, value in self._values.items()}


GRAPH = [("a", "CONV", ("x",)), ("moved", "RESHAPE", ("a",)), ("b", "CONV", ("moved",)), ("c", "ADD", ("a", "b"))]


class TestRanking:
    def test_what_a_layer_adds(self) -> None:
        """Is what its output has more than its inputs, also through a tensor that only one of both has."""
        base = Fake(GRAPH, {"a": 1.0, "moved": 1.0, "b": 1.0, "c": 1.0})
        other = Fake([item for item in GRAPH if item[0] != "moved"], {"a": 1.03, "b": 1.05, "c": 1.05})
        layers, unmatched = compare_layers(base, other, [{}])
        found = {layer.name: layer for layer in layers}
        assert unmatched == ("moved",)
        assert found["a"].added == pytest.approx(0.03)
        assert found["b"].added == pytest.approx(0.04)
        assert found["c"].added == pytest.approx(0.0)
        assert [layer.name for layer in sorted(layers, key=lambda layer: layer.rank)] == ["b", "a", "c"]
        assert found["b"].sqnr_db == pytest.approx(26.02, abs=0.01)

    def test_equal_and_silent_tensors(self) -> None:
        """Equal ones have no SQNR; one that is zero throughout is compared as if it had a power of 1."""
        base = Fake(GRAPH[:1], {"a": 0.0})
        assert compare_layers(base, base, [{}])[0][0].sqnr_db is None
        (layer,) = compare_layers(base, Fake(GRAPH[:1], {"a": 0.1}), [{}])[0]
        assert layer.relative_rms == pytest.approx(0.1 * 2**0.5)

    @pytest.mark.parametrize(
        ("name", "short"),
        [
            ("relu", "relu"),
            ("a/net.Net_module/torch.nn.ReLU_2;;a/net.Net_module/torch.nn.Conv2d_0;2", "Conv2d_0+ReLU_2"),
            ("model/activation/Relu;model/conv2d/BiasAdd/ReadVariableOp/resource;model/conv2d/Conv2D1",
             "conv2d+activation"),
            ("/resource", "/resource"), (";", ";"), ("", ""),
        ],
    )  # fmt: skip
    def test_names_for_people(self, name: str, short: str) -> None:
        """Without the paths of exporters."""
        assert short_name(name).strip("/") == short.strip("/")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network in float and int8, as TFLite and as ONNX, and in float as TorchScript."""
    folder = tmp_path_factory.mktemp("layers")
    net.write(folder)
    source = open_source(f"{Path(net.__file__)}:make_net", weights=str(folder / "net.pt"))
    request = Request(
        source=source, formats=("tflite", "onnx"), precisions=("fp32", "int8"), out=folder / "out",
        calibration=str(folder / "samples.npz"),
    )  # fmt: skip
    assert not convert_all(request).not_made
    return folder / "out"


def broken_tflite(content: bytes) -> tuple[bytes, str]:
    """The second convolution's weights a fifth smaller; and what the file calls its output."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    (node,) = [item for item in graph.operators if codes[item.opcodeIndex] == schema.BuiltinOperator.CONV_2D]
    weights = model.buffers[graph.tensors[node.inputs[1]].buffer]
    weights.data = (np.asarray(weights.data, np.uint8).view(np.int8) * 0.8).astype(np.int8).view(np.uint8)
    name = graph.tensors[node.outputs[0]].name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), name.decode() if isinstance(
        name, bytes
    ) else name


def broken_onnx(content: bytes) -> tuple[bytes, str]:
    """As `broken_tflite`."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    (item,) = [item for item in model.graph.initializer if list(item.dims) == [32, 16, 3, 3]]
    item.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(item) * 0.8).astype(np.int8), item.name))
    return model.SerializeToString(), "hardtanh"


def broken(out: Path, format_: Format, place: Path) -> tuple[Artifact, str]:
    """The int8 artifact, with one layer broken, and that layer's name."""
    artifact = load_artifact(out / f"net-{format_}-int8.edgekit")
    place.mkdir()
    content, name = {"tflite": broken_tflite, "onnx": broken_onnx}[format_](artifact.model.read_bytes())
    for file in artifact.path.iterdir():
        (place / file.name).write_bytes(content if file == artifact.model else file.read_bytes())
    files = tuple(file_entry(place / entry.name) for entry in artifact.manifest.files)
    write_manifest(place, msgspec.structs.replace(artifact.manifest, files=files))
    return load_artifact(place), name


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["tflite", "onnx"])
class TestBroken:
    def test_the_layer_is_named(self, format_: Format, out: Path, tmp_path: Path) -> None:
        """First of all, ahead of what follows from it."""
        artifact, name = broken(out, format_, tmp_path / "broken.edgekit")
        reference = load_artifact(out / f"net-{format_}-fp32.edgekit")
        first, second, *_ = blame_layers(artifact, against=reference).ranked
        assert first.name == name
        assert first.added > 0.15
        assert first.added > 1.5 * second.added
        whole = blame_layers(load_artifact(out / f"net-{format_}-int8.edgekit"))
        assert max(layer.added for layer in whole.layers) < 0.03

    def test_the_command(self, format_: Format, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A table within 80 columns, JSON of every layer, and a chart."""
        path, chart = str(out / f"net-{format_}-int8.edgekit"), tmp_path / "layers.html"
        assert main(["verify", path, "--layers", "--plot", str(chart)]) == 0
        lines = capsys.readouterr().out.splitlines()[1:]
        assert lines[1].lstrip().startswith("1. ")
        assert max(map(len, lines)) <= 80
        assert "what each layer adds" in chart.read_text("utf-8")
        assert main(["verify", path, "--layers", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["vectors"] == 8
        assert {"name", "operator", "rank", "added", "sqnr_db", "cosine", "max_abs"} <= found["layers"][0].keys()


@pytest.mark.slow
class TestRefused:
    def test_no_float_beside_it(self, out: Path, tmp_path: Path) -> None:
        """Says how to get one."""
        artifact, _ = broken(out, "onnx", tmp_path / "alone.edgekit")
        with pytest.raises(UsageError, match="There is no onnx fp32 artifact of the same source beside") as caught:
            blame_layers(artifact)
        assert "--against" in caught.value.hint

    def test_another_format(self, out: Path) -> None:
        """Has other tensors."""
        one, other = (load_artifact(out / f"net-{name}.edgekit") for name in ("onnx-int8", "tflite-fp32"))
        with pytest.raises(UsageError, match="is tflite, and"):
            blame_layers(one, against=other)

    def test_a_format_that_shows_none(self, linear_ptl: Path, tmp_path: Path) -> None:
        """TorchScript."""
        from models.linear import linear_artifact

        artifact = linear_artifact(tmp_path / "linear.edgekit", linear_ptl)
        with pytest.raises(UsageError, match="Nothing shows the inner tensors of torchscript"):
            blame_layers(artifact, against=artifact)

    def test_a_plot_of_nothing(self, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Asks for the layers, too."""
        assert main(["verify", str(out / "net-onnx-int8.edgekit"), "--plot", "x.html"]) == 2
        assert "--layers" in capsys.readouterr().err
