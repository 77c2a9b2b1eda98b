"""PyTorch models become ONNX files that compute the same, in every precision, or are refused with the reason."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch

import edgekit
from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.conversion import Outcome, convert_all
from edgekit.errors import ConversionError, MeasurementError, UsageError
from edgekit.model import Quantization, Signature, TensorSpec
from edgekit.plan import Precision
from edgekit.planning import Request
from edgekit.protocols import Session
from edgekit.run import Schedule
from edgekit.source import open_source
from edgekit_bridge.harness import on_device

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

MODELS = Path(__file__).parents[1] / "models"
NET = MODELS / "net.py"
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "fp16", "dynamic-int8", "int8", "int4-weight")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and data of the small network."""
    from models import net

    folder = tmp_path_factory.mktemp("net")
    net.write(folder)
    return folder


def net_request(work: Path, out: str, *precisions: Precision, use_cache: bool = True) -> Request:
    """The small network to ONNX."""
    return Request(
        source=open_source(f"{NET}:make_net", weights=str(work / "net.pt")),
        formats=("onnx",),
        precisions=precisions,
        out=work / out,
        calibration=str(work / "samples.npz"),
        evaluation=str(work / "test.npz"),
        use_cache=use_cache,
    )


@pytest.fixture(scope="module")
def made(work: Path) -> dict[str, Artifact]:
    """The network in every precision."""
    return artifacts(convert_all(net_request(work, "out", *PRECISIONS)))


def artifacts(outcome: Outcome) -> dict[str, Artifact]:
    """By precision; all must have been made."""
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    return {item.artifact.manifest.precision: item.artifact for item in outcome.made}


def spec(name: str, *shape: int, dtype: str = "float32") -> TensorSpec:
    """A tensor."""
    return TensorSpec(name=name, shape=shape, dtype=dtype)


def convert(
    factory: str, inputs: list[TensorSpec], out: Path, *precisions: Precision, calibration: str = ""
) -> dict[str, Artifact]:
    """A model of `onnx_cases.py`."""
    source = open_source(f"{MODELS / 'onnx_cases.py'}:{factory}", inputs=inputs)
    return artifacts(
        convert_all(Request(source=source, formats=("onnx",), precisions=precisions, out=out, calibration=calibration))
    )


class TestNet:
    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_parity(self, made: dict[str, Artifact], precision: str) -> None:
        """Every precision keeps to its bar, and names survive."""
        manifest = made[precision].manifest
        assert manifest.parity.passed
        assert manifest.parity.accuracy is not None
        assert manifest.parity.accuracy.artifact >= 0.9
        assert [item.name for item in manifest.signature.inputs] == ["image"]
        assert [item.name for item in manifest.signature.outputs] == ["logits"]
        assert (manifest.signature.inputs[0].dtype, manifest.signature.outputs[0].dtype) == ("float32", "float32")

    def test_better_than_the_bar(self, made: dict[str, Artifact]) -> None:
        """What was measured when the recipes were chosen is still reached, in dB."""
        least = {"fp32": 110, "fp16": 60, "dynamic-int8": 38, "int8": 32, "int4-weight": 18}
        reached = {name: item.manifest.parity.worst.sqnr_db or 999 for name, item in made.items()}
        assert {name: reached[name] >= floor for name, floor in least.items()} == dict.fromkeys(least, True)

    def test_valid(self, made: dict[str, Artifact]) -> None:
        """ONNX's own checker accepts each file, shapes included."""
        import onnx

        for name in ("fp32", "fp16", "int8"):  # ONNX Runtime's own operators are unknown to it
            onnx.checker.check_model(onnx.load(str(made[name].model)), full_check=True)

    def test_shares(self, made: dict[str, Artifact]) -> None:
        """All weights are smaller; int8 computes on integers throughout, dynamic-int8 in the matrix product alone."""
        shares = {name: item.manifest.quantized for name, item in made.items()}
        assert shares["fp32"] is None
        assert shares["fp16"] is not None
        assert shares["fp16"].operators == 0.0
        assert shares["dynamic-int8"] is not None
        assert shares["dynamic-int8"].operators == pytest.approx(1 / 3)
        assert shares["int8"] is not None
        assert shares["int8"].operators == 1.0
        assert {share.weights for share in shares.values() if share} == {1.0}

    def test_per_channel(self, made: dict[str, Artifact]) -> None:
        """int8 weights have a scale for each output channel."""
        import onnx

        graph = onnx.load(str(made["int8"].model)).graph
        scales = {item.name: list(item.dims) for item in graph.initializer if item.name.endswith("weight_scale")}
        assert sorted(scales.values()) == [[10], [16], [32]]

    def test_sizes(self, made: dict[str, Artifact]) -> None:
        """Halves halve the weights, integers quarter them."""
        size = {name: item.manifest.model_bytes for name, item in made.items()}
        assert size["fp16"] < 0.6 * size["fp32"]
        assert size["int8"] < 0.45 * size["fp32"]
        assert size["dynamic-int8"] < 0.45 * size["fp32"]

    def test_no_convolution_on_dynamic_integers(self, made: dict[str, Artifact]) -> None:
        """ConvInteger is 17 times slower than a float convolution."""
        kinds = made["dynamic-int8"].manifest.operators
        assert "ConvInteger" not in kinds
        assert kinds["MatMulInteger"] == 1
        assert any("Conv" in note and "arithmetic in float32" in note for note in made["dynamic-int8"].manifest.notes)

    def test_same_bytes(self, made: dict[str, Artifact], work: Path) -> None:
        """Made again without the cache, every artifact has the same id."""
        again = artifacts(convert_all(net_request(work, "again", *PRECISIONS, use_cache=False)))
        assert {name: item.id for name, item in again.items()} == {name: item.id for name, item in made.items()}

    def test_no_paths(self, made: dict[str, Artifact]) -> None:
        """The exporter would write the lines and paths of the source's Python files into it."""
        for artifact in made.values():
            content = artifact.model.read_bytes()
            assert b"net.py" not in content
            assert b"stack_trace" not in content
            assert str(NET.parent).encode() not in content

    def test_verify(self, made: dict[str, Artifact], work: Path) -> None:
        """Against its source, parity is what it was."""
        artifact = made["int8"]
        source = open_source(f"{NET}:make_net", weights=str(work / "net.pt"), inputs=artifact.manifest.signature.inputs)
        assert edgekit.verify(artifact, against=source, evaluation=str(work / "test.npz")).passed

    def test_stored(self, work: Path, tmp_path: Path) -> None:
        """An exported program goes the same way."""
        from models import net

        module = net.make_net().eval()
        module.load_state_dict(torch.load(work / "net.pt", weights_only=True))
        torch.export.save(torch.export.export(module, (torch.randn(1, 1, 8, 8),)), tmp_path / "net.pt2")
        artifact = edgekit.convert(tmp_path / "net.pt2", format="onnx", out=tmp_path / "out")
        assert artifact.manifest.parity.passed


class TestNames:
    def test_clashes(self, tmp_path: Path) -> None:
        """Names that stand for several things in PyTorch stand for one in the file, and lead where they should."""
        inputs = [spec("add", 1, 3), spec("unused", 1, 3), spec("mul", 1, 3)]
        artifact = convert("make_passing", inputs, tmp_path, "fp32")["fp32"]
        assert artifact.manifest.parity.passed
        assert [item.name for item in artifact.manifest.signature.outputs] == ["add", "passed", "again"]
        bindings = [item.binding for item in artifact.manifest.signature.outputs]
        assert bindings == ["add_out", "", ""]

    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_a_state(self, tmp_path: Path, kind: str) -> None:
        """A state that goes in and comes out under one name, in every precision; all weights get smaller."""
        rng = np.random.default_rng(0)
        x, state = (rng.standard_normal((16, *shape)).astype(np.float32) for shape in ((6, 8), (1, 32)))
        np.savez(tmp_path / "samples.npz", x=x, state=state)
        inputs = [spec("x", 1, 6, 8), spec("state", 1, 1, 32)]
        made = convert(f"make_{kind}", inputs, tmp_path, *PRECISIONS[:4], calibration=str(tmp_path / "samples.npz"))
        for precision, artifact in made.items():
            assert artifact.manifest.parity.passed
            share = artifact.manifest.quantized
            assert precision == "fp32" if share is None else share.weights == 1.0
        on_integers = [made[name].manifest.quantized for name in ("dynamic-int8", "int8")]
        assert [share.operators for share in on_integers if share] == ([1.0, 1.0] if kind == "lstm" else [0.0, 0.0])


class TestKinds:
    def test_a_transformer(self, tmp_path: Path) -> None:
        """Integer ids stay int64; matrix products are on integers."""
        ids = np.random.default_rng(0).integers(0, 100, (32, 16))
        np.savez(tmp_path / "samples.npz", ids=ids)
        made = convert(
            "make_transform", [spec("ids", 1, 16, dtype="int64")], tmp_path, "fp32", "dynamic-int8", "int8",
            calibration=str(tmp_path / "samples.npz"),
        )  # fmt: skip
        assert all(item.manifest.parity.passed for item in made.values())
        assert made["fp32"].manifest.signature.inputs[0].dtype == "int64"
        assert "DynamicQuantizeLinear" in made["dynamic-int8"].manifest.operators

    def test_scripted_branches_stay(self, tmp_path: Path) -> None:
        """A TorchScript model keeps its data-dependent branch: golden vectors of both sides agree."""

        class Branchy(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return 2 * x if bool(x.sum() > 0) else -x

        torch.jit.script(Branchy()).save(str(tmp_path / "branchy.pt"))
        source = open_source(str(tmp_path / "branchy.pt"), inputs=[spec("x", 1, 3)])
        outcome = convert_all(Request(source=source, formats=("onnx",), precisions=("fp32",), out=tmp_path))
        artifact = artifacts(outcome)["fp32"]
        assert artifact.manifest.parity.passed
        assert artifact.manifest.operators["If"] == 1

    def test_the_other_exporter_stands_in(self, tmp_path: Path) -> None:
        """Where one does not know an operator; the manifest says which."""
        artifact = convert("make_distance", [spec("x", 1, 4, 3)], tmp_path, "fp32")["fp32"]
        assert artifact.manifest.parity.passed
        (note,) = artifact.manifest.notes
        assert "exporter of exported programs left out" in note
        assert "cdist" in note

    def test_scripted_outputs_by_name(self, tmp_path: Path) -> None:
        """A dict of outputs survives too, which only the newer exporter can take."""

        class Both(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
            def forward(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
                return {"difference": a - b, "sum": a + b}

        torch.jit.script(Both()).save(str(tmp_path / "both.pt"))
        source = open_source(str(tmp_path / "both.pt"), inputs=[spec("a", 1, 3), spec("b", 1, 3)])
        outcome = convert_all(Request(source=source, formats=("onnx",), precisions=("fp32",), out=tmp_path))
        artifact = artifacts(outcome)["fp32"]
        assert artifact.manifest.parity.passed
        assert [item.name for item in artifact.manifest.signature.outputs] == ["difference", "sum"]

    def test_a_branch_in_python_is_refused(self, tmp_path: Path) -> None:
        """It would be traced away."""
        source = open_source(f"{NET}:make_branchy", inputs=[spec("x", 1, 3)])
        outcome = convert_all(Request(source=source, formats=("onnx",), precisions=("fp32",), out=tmp_path))
        (failed,) = outcome.not_made
        assert isinstance(failed.error, ConversionError)
        assert "torch.export cannot take this model" in failed.error.cause
        assert "torch.jit.script" in failed.error.hint

    def test_an_unknown_operator_is_named(self, tmp_path: Path) -> None:
        """Not a page of the exporter's report."""
        source = open_source(f"{MODELS / 'onnx_cases.py'}:make_unknown", inputs=[spec("x", 1, 3)])
        outcome = convert_all(Request(source=source, formats=("onnx",), precisions=("fp32",), out=tmp_path))
        (failed,) = outcome.not_made
        assert "special_i1" in failed.error.cause
        assert "no ONNX counterpart" in failed.error.cause

    def test_nothing_to_quantize(self, tmp_path: Path) -> None:
        """A model without weights is refused, not copied under another name."""
        source = open_source(f"{NET}:make_two", inputs=[spec("left", 1, 3), spec("right", 1, 3)])
        request = Request(source=source, formats=("onnx",), precisions=("fp16", "dynamic-int8"), out=tmp_path)
        outcome = convert_all(request)
        assert [item.error.cause for item in outcome.not_made] == [
            "onnx fp16 would change nothing: the model has no weights.",
            "onnx dynamic-int8 would change nothing: the model has no weights.",
        ]

    def test_huge_weights_stay_float(self, tmp_path: Path) -> None:
        """Beyond 65504 a half would be infinite; where nothing else is left, that is said."""
        source = open_source(f"{MODELS / 'onnx_cases.py'}:make_huge", inputs=[spec("x", 1, 3)])
        outcome = convert_all(Request(source=source, formats=("onnx",), precisions=("fp16",), out=tmp_path))
        assert "change nothing" in outcome.not_made[0].error.cause

    def test_int8_wants_calibration(self, tmp_path: Path) -> None:
        """As for every format."""
        source = open_source(f"{NET}:make_net", inputs=[spec("image", 1, 1, 8, 8)])
        with pytest.raises(UsageError, match="needs calibration data"):
            convert_all(Request(source=source, formats=("onnx",), precisions=("int8",), out=tmp_path))

    def test_no_runtime_for_it(self, tmp_path: Path) -> None:
        """A device without ONNX Runtime is told before anything is made."""
        source = open_source(f"{NET}:make_net", inputs=[spec("image", 1, 1, 8, 8)])
        request = Request(source=source, formats=("onnx",), precisions=("fp32",), out=tmp_path, target="linux-armv7")
        with pytest.raises(UsageError, match="no runtime for onnx"):
            convert_all(request)


A, B = np.array([[5.0, 7.0]], np.float32), np.array([[1.0, 2.0]], np.float32)


def subtraction(folder: Path, names: str = "ab", **types: str) -> Path:
    """An ONNX file that gives y = first - second."""
    from onnx import TensorProto, checker, helper, save

    kind = getattr(TensorProto, types.get("kind", "FLOAT"))
    shape = ["batch", 2]
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name in names]
    graph = helper.make_graph(
        [helper.make_node("Sub", list(names), ["y"])],
        "g",
        inputs,
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    save(model, str(folder / "model.onnx"))
    return folder / "model.onnx"


def opened(path: Path, *, threads: int = 1, **bindings: str) -> Session:
    """A session of inputs a and b and an output y."""
    signature = Signature(
        inputs=tuple(
            TensorSpec(name=name, shape=(1, 2), dtype="float32", binding=bindings.get(name, "")) for name in "ab"
        ),
        outputs=(TensorSpec(name="y", shape=(1, 2), dtype="float32"),),
    )
    runtime = next(item for item in catalog.runtimes() if item.format == "onnx")
    return runtime.open(path, signature, threads=threads, engine="")


class TestRuntime:
    def test_names(self, tmp_path: Path) -> None:
        """Inputs of one shape are told apart by name, whatever their order in the file."""
        np.testing.assert_array_equal(opened(subtraction(tmp_path, "ba")).run({"a": A, "b": B})["y"], B - A)

    def test_bindings(self, tmp_path: Path) -> None:
        """The manifest's binding names the tensor where the file calls it otherwise."""
        session = opened(subtraction(tmp_path, "pq"), a="q", b="p")
        np.testing.assert_array_equal(session.run({"a": A, "b": B})["y"], B - A)

    def test_no_guess(self, tmp_path: Path) -> None:
        """Names that lead nowhere are refused with those there are."""
        with pytest.raises(MeasurementError, match="no input 'a'; it has p, q"):
            opened(subtraction(tmp_path, "pq"))

    def test_another_batch(self, tmp_path: Path) -> None:
        """A free batch takes the size of what is given, and outputs stay as they were."""
        session = opened(subtraction(tmp_path), threads=2)
        kept = [session.run({"a": np.repeat(A, batch, 0), "b": np.repeat(B, batch, 0)})["y"] for batch in (1, 3, 2)]
        for batch, value in zip((1, 3, 2), kept, strict=True):
            np.testing.assert_array_equal(value, np.repeat(A - B, batch, 0))

    def test_integers(self, tmp_path: Path) -> None:
        """Real numbers go in and come out of an integer model, by the manifest's scale."""
        scale = Quantization(scale=(0.5,), zero_point=(0,))
        specs = [TensorSpec(name=name, shape=(1, 2), dtype="int32", quantization=scale) for name in "aby"]
        runtime = next(item for item in catalog.runtimes() if item.format == "onnx")
        path = subtraction(tmp_path, kind="INT32")
        signature = Signature(inputs=tuple(specs[:2]), outputs=(specs[2],))
        result = runtime.open(path, signature, threads=1, engine="").run({"a": A, "b": B})["y"]
        np.testing.assert_array_equal(result, A - B)
        assert result.dtype == np.float32

    def test_reals_for_integers(self, tmp_path: Path) -> None:
        """Without a scale there is no telling what they would mean."""
        with pytest.raises(UsageError, match="takes integers and the model has no scale"):
            opened(subtraction(tmp_path, kind="INT32")).run({"a": A, "b": B})

    @pytest.mark.parametrize("wrong", [np.zeros((1, 3), np.float32), np.zeros((2,), np.float32)])
    def test_wrong_shapes(self, tmp_path: Path, wrong: np.ndarray[Any, Any]) -> None:
        """A wrong request, with the shape that would be right."""
        with pytest.raises(UsageError, match=r"'a' has shape (1x3|2); the model takes batchx2"):
            opened(subtraction(tmp_path)).run({"a": wrong, "b": B})

    def test_missing_input(self, tmp_path: Path) -> None:
        """An input that was not given is a wrong request."""
        with pytest.raises(UsageError, match="'a' was not given"):
            opened(subtraction(tmp_path)).run({"b": B})

    @pytest.mark.parametrize("content", [b"", b"garbage" * 100, None], ids=["empty", "garbage", "cut"])
    def test_bad_files(self, tmp_path: Path, content: bytes | None) -> None:
        """What is no model is refused as one error."""
        path = subtraction(tmp_path)
        path.write_bytes(path.read_bytes()[:40] if content is None else content)
        with pytest.raises(MeasurementError):
            opened(path)

    def test_no_delegate(self, tmp_path: Path) -> None:
        """There is none to leave out."""
        specs = [{"name": name, "shape": [1, 2], "dtype": "float32"} for name in "aby"]
        with pytest.raises(on_device.HarnessError, match="no delegate") as refused:
            on_device.open_model(
                "onnx", str(subtraction(tmp_path)), specs[:2], specs[2:], threads=1, engine="", delegate="none"
            )
        assert refused.value.kind == "delegate"

    def test_no_runtime(self, made: dict[str, Artifact]) -> None:
        """A device without it is told so, not given a traceback."""
        job = {"job_version": 1, "mode": "golden", "format": "onnx", "golden": str(made["fp32"].path / "golden.npz")}
        program = (
            "import sys\nsys.modules['onnxruntime'] = None\n"
            f"import runpy; sys.argv[1:] = ['-']; runpy.run_path({on_device.__file__!r}, run_name='__main__')"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], input=json.dumps(job), capture_output=True, text=True, check=False
        )
        error = json.loads(done.stdout.splitlines()[-1])
        assert (error["kind"], error["message"]) == ("no-runtime", "onnxruntime is not installed.")

    def test_describe(self, tmp_path: Path) -> None:
        """The host words it as the device does."""
        specs = [{"name": name, "shape": [1, 2], "dtype": "float32"} for name in "aby"]
        model = on_device.open_model("onnx", str(subtraction(tmp_path)), specs[:2], specs[2:], threads=1, engine="")
        runtime = next(item for item in catalog.runtimes() if item.format == "onnx")
        assert model.describe() == runtime.describe()
        assert model.describe().startswith("ONNX Runtime 1.")
        assert model.delegate() == "CPUExecutionProvider"


class TestBench:
    def test_a_run(self, made: dict[str, Artifact]) -> None:
        """Measured on this machine in processes of its own, golden vectors first, operators last."""
        schedule = Schedule(repeat=2, min_time_s=0.05, warmup_s=0.05)
        run = edgekit.benchmark(made["int8"], schedule=schedule, operators=True)
        assert run.golden is not None
        assert run.golden.passed
        assert run.runtime.startswith("ONNX Runtime 1.")
        assert "run_with_iobinding" in run.method
        assert all(item.samples_ns for item in run.repetitions)
        told = {item.name: item.calls for item in run.operators}
        assert told["QLinearConv"] == 2.0
        assert sum(item.self_ns for item in run.operators) > 0
