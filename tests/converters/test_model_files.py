"""ONNX and TFLite files as sources: quantized like any other, names kept, and refused where they are not sound."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import Schedule
from edgekit.artifact import Artifact
from edgekit.conversion import Outcome, convert_all
from edgekit.errors import EdgekitError, UsageError
from edgekit.offers import WHY_NOT
from edgekit.plan import CALIBRATED, PRECISIONS, Format, Precision
from edgekit.planning import Request
from edgekit.source import open_source, parse_input
from models import net
from models.linear import BIAS, WEIGHTS, tflite_file

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

NET = Path(net.__file__)


def convert(
    source: Path,
    format_: Format,
    out: Path,
    *precisions: Precision,
    inputs: tuple[str, ...] = (),
    signature: str = "",
    **options: Any,
) -> Outcome:
    """Convert a model file."""
    given = tuple(parse_input(text) for text in inputs)
    opened = open_source(str(source), inputs=given, signature=signature)
    return convert_all(
        Request(source=opened, formats=(format_,), precisions=precisions or ("fp32",), out=out, **options)
    )


def artifact(outcome: Outcome) -> Artifact:
    """The only one."""
    for failed in outcome.not_made:
        raise failed.error
    (made,) = outcome.made
    return made.artifact


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as an ONNX and a TFLite file, with its data."""
    folder = tmp_path_factory.mktemp("net")
    net.write(folder)
    request = Request(
        source=open_source(f"{NET}:make_net", weights=str(folder / "net.pt")),
        formats=("onnx", "tflite"), precisions=("fp32",), out=folder / "first", calibration=str(folder / "samples.npz"),
    )  # fmt: skip
    for made in convert_all(request).made:
        model = made.artifact.path / made.artifact.manifest.model
        (folder / f"net{model.suffix}").write_bytes(model.read_bytes())
    return folder


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_every_precision(format_: Format, work: Path) -> None:
    """As good as from the framework; names are those of the file."""
    offered = [precision for precision in PRECISIONS if (format_, precision) not in WHY_NOT]
    outcome = convert(
        work / f"net.{format_}", format_, work / "out", *offered,
        calibration=str(work / "samples.npz"), evaluation=str(work / "test.npz"),
    )  # fmt: skip
    assert not outcome.not_made
    assert [made.artifact.manifest.precision for made in outcome.made] == offered
    for made in outcome.made:
        manifest = made.artifact.manifest
        assert manifest.parity.passed
        assert [spec.name for spec in manifest.signature.inputs] == ["image"]
        assert [spec.name for spec in manifest.signature.outputs] == ["logits"]
        assert manifest.parity.accuracy is not None
        assert manifest.parity.accuracy.artifact >= 0.9
        assert (manifest.quantized is None) == (manifest.precision == "fp32")
        assert manifest.plan.calibration_method == ("min-max" if manifest.precision in CALIBRATED else None)


def test_onnx_runtimes_own_format(work: Path, tmp_path: Path) -> None:
    """Weights and arithmetic are as in the ONNX file of that precision; it is measured by the same runtime."""
    outcome = convert(
        work / "net.onnx", "ort", tmp_path, "fp32", "int8", calibration=str(work / "samples.npz"),
        calibration_method="percentile",
    )  # fmt: skip
    in_float, quantized = (made.artifact for made in outcome.made)
    assert quantized.manifest.quantized is not None
    assert (quantized.manifest.quantized.weights, quantized.manifest.quantized.operators) == (1.0, 1.0)
    assert quantized.manifest.plan.calibration_method == "percentile"
    for item in (in_float, quantized):
        assert item.model.name == "model.ort"
        assert item.manifest.parity.passed
        assert item.manifest.parity.runtime.startswith("ONNX Runtime 1.")


def test_a_precision_that_an_ort_file_would_lose(work: Path, tmp_path: Path) -> None:
    """Half-precision weights are widened when the file is saved: refused, with the reason."""
    with pytest.raises(UsageError, match="saved with its constants folded"):
        convert(work / "net.onnx", "ort", tmp_path, "fp16")


class TestOnnx:
    @pytest.fixture
    def write(self, tmp_path: Path) -> Any:
        """Writes an ONNX file of one linear layer: its input's shape, opset, and how its weights are stored."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        def make(shape: tuple[Any, ...] = (1, 4), opset: int = 17, place: str = "") -> Path:
            weights = [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(BIAS, "b")]
            graph = helper.make_graph(
                [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)], "linear",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, (shape[0], 3))], weights,
            )  # fmt: skip
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
            if place:
                onnx.external_data_helper.set_external_data(model.graph.initializer[0], location=place)
                model.graph.initializer[0].ClearField("raw_data")
            file = tmp_path / "models" / "linear.onnx"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(model.SerializeToString())
            return file

        return make

    @pytest.mark.parametrize("opset", [9, 11, 17])
    def test_old_opsets_are_brought_up(self, opset: int, write: Any, tmp_path: Path) -> None:
        """Quantization by channel came with 13."""
        source = write(opset=opset)
        (fp32,) = convert(source, "onnx", tmp_path / "out").made
        assert fp32.artifact.manifest.parity.worst.relative_rms < 1e-6
        np.savez(tmp_path / "samples.npz", x=np.random.default_rng(0).standard_normal((20, 1, 4)).astype(np.float32))
        int8 = artifact(convert(source, "onnx", tmp_path / "out", "int8", calibration=str(tmp_path / "samples.npz")))
        assert int8.manifest.quantized is not None
        assert int8.manifest.quantized.operators == 1

    def test_free_dimensions(self, write: Any, tmp_path: Path) -> None:
        """A free batch is one; any other is the user's to say."""
        made = artifact(convert(write(("batch", 4)), "onnx", tmp_path / "out"))
        assert made.manifest.signature.inputs[0].shape == (1, 4)
        with pytest.raises(UsageError, match="free dimension 'length'") as caught:
            artifact(convert(write((1, "length")), "onnx", tmp_path / "out"))
        assert "--input x=1x128" in caught.value.hint
        assert artifact(
            convert(write((1, "length")), "onnx", tmp_path / "out", inputs=("x=1x4",))
        ).manifest.parity.passed

    def test_weights_beside_the_file(self, write: Any, tmp_path: Path) -> None:
        """Are read from its own folder."""
        source = write(place="weights.bin")
        (source.parent / "weights.bin").write_bytes(WEIGHTS.tobytes())
        assert artifact(convert(source, "onnx", tmp_path / "out")).manifest.parity.passed

    @pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "link.bin", "gone.bin", "fifo.bin"])
    def test_weights_that_lie_elsewhere(self, place: str, write: Any, tmp_path: Path) -> None:
        """Are not read, whatever leads there."""
        import os

        (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
        source = write(place=place)
        (source.parent / "link.bin").symlink_to(tmp_path / "secret.bin")
        os.mkfifo(source.parent / "fifo.bin")
        with pytest.raises(UsageError, match="is no ONNX file that onnx"):
            artifact(convert(source, "onnx", tmp_path / "out"))
        assert not list((tmp_path / "out").glob("*"))


class TestTflite:
    @pytest.fixture
    def several(self, tmp_path: Path) -> Path:
        """A file of two signatures, each with a subgraph of its own: `linear`, and `less` that takes 1 from x."""
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.tools import flatbuffer_utils

        tensors = [("in", (1, 4), None), ("w", (3, 4), WEIGHTS), ("b", (3,), BIAS), ("out", (1, 3), None)]
        data = tflite_file(
            "FULLY_CONNECTED", tensors=tensors, operators=[([0, 1, 2], [3])], signature=({"x": 0}, {"y": 3})
        )  # fmt: skip
        one: Any = np.ones((1, 2), np.float32)
        less: Any = [("in", (1, 2), None), ("one", (1, 2), one), ("out", (1, 2), None)]
        other = tflite_file("SUB", tensors=less, operators=[([0, 1], [2])], signature=({"x": 0}, {"y": 2}))
        held, more = (flatbuffer_utils.convert_bytearray_to_object(bytearray(item)) for item in (data, other))
        for operator in more.subgraphs[0].operators:
            operator.opcodeIndex = 1
        held.operatorCodes.append(more.operatorCodes[0])
        held.subgraphs.append(more.subgraphs[0])
        assert schema.SignatureDefT is type(more.signatureDefs[0])
        more.signatureDefs[0].signatureKey, more.signatureDefs[0].subgraphIndex = "less", 1
        held.signatureDefs[0].signatureKey = "linear"
        held.signatureDefs.append(more.signatureDefs[0])
        file = tmp_path / "several.tflite"
        file.write_bytes(flatbuffer_utils.convert_object_to_bytearray(held))
        return file

    def test_a_signature_is_chosen(self, several: Path, tmp_path: Path) -> None:
        """By name, when there are several; it stands alone then."""
        with pytest.raises(UsageError, match="has several signatures; it has linear, less"):
            artifact(convert(several, "tflite", tmp_path / "out"))
        with pytest.raises(UsageError, match="has no signature 'triple'"):
            artifact(convert(several, "tflite", tmp_path / "out", signature="triple"))
        for name, outputs in (("linear", (1, 3)), ("less", (1, 2))):
            made = artifact(convert(several, "tflite", tmp_path / name, signature=name))
            assert made.manifest.signature.outputs[0].shape == outputs
            assert made.manifest.parity.passed

    def test_no_signature(self, tmp_path: Path) -> None:
        """The names are the tensors' own."""
        tensors = [("in", (1, 4), None), ("w", (3, 4), WEIGHTS), ("b", (3,), BIAS), ("out", (1, 3), None)]
        file = tmp_path / "bare.tflite"
        file.write_bytes(tflite_file("FULLY_CONNECTED", tensors=tensors, operators=[([0, 1, 2], [3])], free_batch=True))
        made = artifact(convert(file, "tflite", tmp_path / "out", "fp16"))
        assert [spec.name for spec in made.manifest.signature.inputs] == ["in"]
        assert [spec.name for spec in made.manifest.signature.outputs] == ["out"]
        assert made.manifest.signature.inputs[0].shape == (1, 4)

    def test_one_that_is_quantized(self, work: Path, tmp_path: Path) -> None:
        """Cannot be made float again."""
        made = artifact(convert(work / "net.tflite", "tflite", tmp_path / "out", "dynamic-int8"))
        quantized = tmp_path / "quantized.tflite"
        quantized.write_bytes((made.path / made.manifest.model).read_bytes())
        with pytest.raises(UsageError, match="is quantized already"):
            artifact(convert(quantized, "tflite", tmp_path / "again"))


def test_integers_go_in_and_out_where_they_are_asked_for(work: Path, tmp_path: Path) -> None:
    """The signature says how they map to real numbers, so that checks, data and measurements go on as ever."""
    made = artifact(
        convert(
            work / "net.tflite", "tflite", tmp_path, "int8", io_type="int8",
            calibration=str(work / "samples.npz"), evaluation=str(work / "test.npz"),
        )
    )  # fmt: skip
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(made.manifest.operators)
    for spec in (*made.manifest.signature.inputs, *made.manifest.signature.outputs):
        assert (spec.dtype, spec.real_dtype) == ("int8", "float32")
        assert spec.quantization is not None
        assert spec.quantization.scale[0] > 0
    assert made.manifest.parity.passed
    assert edgekit.verify(made, evaluation=str(work / "test.npz")).accuracy == made.manifest.parity.accuracy
    run = edgekit.benchmark(made, device="local:", schedule=Schedule(repeat=1, min_time_s=0.02))
    assert run.golden is not None
    assert run.golden.passed


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
class TestDamage:
    def test_cut_files(self, format_: Format, work: Path, tmp_path: Path) -> None:
        """At any place: refused with a reason, and nothing is left."""
        whole = (work / f"net.{format_}").read_bytes()
        for share in (0.001, 0.5, 0.99):
            file = tmp_path / f"cut.{format_}"
            file.write_bytes(whole[: max(1, int(share * len(whole)))])
            with pytest.raises(EdgekitError) as caught:
                artifact(convert(file, format_, tmp_path / "out"))
            assert caught.value.hint
            assert not list((tmp_path / "out").glob("*"))

    def test_changed_bytes(self, format_: Format, work: Path, tmp_path: Path) -> None:
        """Lying offsets and sizes end in an error of ours, or in a model that computes something else."""
        chance = random.Random(0)  # noqa: S311 - not for secrets
        whole = (work / f"net.{format_}").read_bytes()
        for number in range(6):
            data = bytearray(whole)
            for _ in range(8):
                data[chance.randrange(8, len(data) // 8 if number % 2 else len(data))] = chance.randrange(256)
            file = tmp_path / f"changed{number}.{format_}"
            file.write_bytes(data)
            outcome: Outcome | None = None
            try:
                outcome = convert(file, format_, tmp_path / "out", use_cache=False)
            except EdgekitError:
                continue
            assert outcome.made or outcome.not_made


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x08\x07" + b"\xff" * 50, b"PK\x03\x04" + bytes(60)])
def test_what_is_no_model(suffix: str, content: bytes, tmp_path: Path) -> None:
    """Is refused, also where it claims sizes that nobody has."""
    file = tmp_path / f"model.{suffix}"
    file.write_bytes(content)
    with pytest.raises(EdgekitError) as caught:
        artifact(convert(file, "onnx" if suffix == "onnx" else "tflite", tmp_path / "out"))
    assert caught.value.exit_code in {2, 3}
