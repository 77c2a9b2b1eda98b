"""TensorRT by the device's trtexec: what it is told, what is read of it, and the whole way with a stand-in."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit import catalog
from edgekit.artifact import Artifact, artifact_id, write_manifest
from edgekit.device import parse_device
from edgekit.errors import CheckFailed, MeasurementError, UsageError
from edgekit.model import Signature, TensorSpec
from edgekit.progress import SilentProgress
from edgekit.run import Run, Schedule
from edgekit.target import TargetProfile
from edgekit_bridge.harness import trtexec
from edgekit_bridge.harness.tensorrt import HARNESS, _settled
from models.linear import BIAS, WEIGHTS, Floats, linear, manifest

DATA = Path(__file__).parent / "data"
STAND_IN = Path(__file__).parents[1] / "peers" / "trtexec_stand_in.py"
SHORT = Schedule(repeat=2, min_time_s=0.1, min_samples=20, warmup_s=0.05)

HELP = "&&&& RUNNING TensorRT.trtexec [TensorRT v{}] # trtexec --help\n=== Model Options ===\n{}\n"
OLD = trtexec.read_help(
    "trtexec", HELP.format("8201", "--onnx=<file> --saveEngine --buildOnly --workspace=N --fp16 --int8 --noTF32")
)
NEW = trtexec.read_help(
    "trtexec",
    HELP.format("100300", "--onnx=<file> --saveEngine --skipInference --memPoolSize=poolspec --fp16 --int8 --noTF32"),
)
X = TensorSpec(name="x", shape=(1, 4), dtype="float32")
FREE = TensorSpec(name="tokens", shape=("batch", "length", 3), dtype="int64", binding="ids:0")


def build(tool: trtexec.Tool, precision: str, *inputs: TensorSpec) -> list[str]:
    """The command that builds an engine."""
    return trtexec.build_argv(tool, onnx="m.onnx", engine="m.engine", precision=precision, inputs=inputs or (X,))


class TestCommands:
    def test_the_version_is_read_of_both_forms(self) -> None:
        """8.2.1 and 10.3.0; one that says nothing is unknown, and nothing hangs on it."""
        assert (OLD.version, NEW.version) == ((8, 2, 1), (10, 3, 0))
        assert OLD.title == "TensorRT 8.2.1, trtexec (untested on hardware)"
        assert trtexec.read_help("trtexec", "usage").title.startswith("TensorRT of an unknown version")

    def test_an_engine_is_built_and_not_run(self) -> None:
        """By the option that this version has for it; an old one is given memory for its kernels."""
        assert build(OLD, "fp16") == [
            "trtexec", "--onnx=m.onnx", "--saveEngine=m.engine", "--fp16", "--workspace=1024", "--buildOnly",
        ]  # fmt: skip
        assert build(NEW, "fp16") == [
            "trtexec", "--onnx=m.onnx", "--saveEngine=m.engine", "--fp16", "--skipInference",
        ]  # fmt: skip

    def test_precision(self) -> None:
        """fp32 is not rounded to TF32; int8 is what the file's scales say; dynamic quantization has no engine."""
        assert "--noTF32" in build(NEW, "fp32")
        assert "--int8" in build(NEW, "int8")
        with pytest.raises(UsageError, match="runs no dynamic-int8"):
            build(NEW, "dynamic-int8")

    def test_free_dimensions_are_one_sample(self) -> None:
        """All inputs are named then, those with a colon in quotes; none when every shape is fixed."""
        assert trtexec.shapes([X, FREE]) == ["--shapes=x:1x4,'ids:0':1x1x3"]
        assert trtexec.shapes([X]) == []

    def test_inputs_are_files_by_name(self) -> None:
        """The engine's names, which are the binding's."""
        argv = trtexec.run_argv(NEW, engine="m.engine", inputs=[X, FREE], files=["a.bin", "b.bin"])
        assert argv[1:3] == ["--loadEngine=m.engine", "--loadInputs=x:a.bin,'ids:0':b.bin"]

    def test_whole_seconds_are_measured(self) -> None:
        """Old versions read integers only."""
        told = trtexec.timed("t.json", least=30, least_s=0.6, warmup_s=0.2)
        assert told[:3] == ["--iterations=30", "--warmUp=200", "--duration=1"]

    def test_element_types(self) -> None:
        """Engines have no float64, and no 64-bit integers before TensorRT 10."""
        assert [trtexec.stored_type(OLD, dtype) for dtype in ("float32", "float64", "int64", "bool")] == [
            "float32", "float32", "int32", "bool",
        ]  # fmt: skip
        assert trtexec.stored_type(NEW, "int64") == "int64"


class TestFiles:
    def test_times(self) -> None:
        """Compute and copies apart, in the order in which they began."""
        first, second = trtexec.read_times((DATA / "trtexec_times.json").read_bytes())
        assert (first.compute, first.h2d, first.d2h, first.latency) == (1.024, 0.0076, 0.0044, 1.036)
        assert second.start > first.start

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"[{}]", b'{"a": 1}', b'[{"startComputeMs": nan}]', b"\xff", b"[{", b"null"]
    )
    def test_times_that_are_none(self, data: bytes) -> None:
        """One sentence that says so."""
        with pytest.raises(MeasurementError, match="trtexec's times"):
            trtexec.read_times(data)

    def test_times_of_nothing(self) -> None:
        """An inference that took no time was none."""
        text = (DATA / "trtexec_times.json").read_text().replace('"computeMs" : 0.512', '"computeMs" : 0')
        with pytest.raises(MeasurementError, match="no inference that took time"):
            trtexec.read_times(text.encode())

    def test_outputs(self) -> None:
        """By name; what is no number is kept as that, and a name is left as it is."""
        found = trtexec.read_outputs((DATA / "trtexec_output.json").read_bytes())
        np.testing.assert_array_equal(found["y"], [0.5, -1.25e-5, np.nan])
        assert set(found) == {"y", "inf, nan"}

    @pytest.mark.parametrize("data", [b"", b"[{}]", b'[{"name": "y", "values": ["a"]}]', b"\xff"])
    def test_outputs_that_are_none(self, data: bytes) -> None:
        """One sentence that says so."""
        with pytest.raises(MeasurementError, match="trtexec's outputs cannot be read"):
            trtexec.read_outputs(data)

    def test_profile(self) -> None:
        """Mean times of layers; the first entry is a count."""
        assert trtexec.read_profile((DATA / "trtexec_profile.json").read_bytes()) == [
            ("Conv_0 + Relu_1", 512_000), ("Gemm_2", 128_000),
        ]  # fmt: skip
        with pytest.raises(MeasurementError, match="profile cannot be read"):
            trtexec.read_profile(b"{}")

    @pytest.mark.parametrize(
        ("line", "ns"),
        [
            ("[I] Engine deserialized in 0.0123 sec.", 12_300_000),
            ("[I] Engine loaded in 1.5 sec.", 1_500_000_000),
            ("[I] Engine deserialized in 8.1e-05 sec.", 81_000),
            ("[I] Engine built in 9 sec.", 0),
        ],
    )
    def test_load(self, line: str, ns: int) -> None:
        """In the words of old and new versions."""
        assert trtexec.load_ns(line) == ns

    @pytest.mark.parametrize(
        ("later_ms", "settled"), [(1.01, True), (1.1, False), (0.9, False)], ids=["steady", "slower", "faster"]
    )
    def test_warm_up_is_judged_by_its_halves(self, later_ms: float, settled: bool) -> None:
        """Within 2 % of each other, as the harness judges its own; without warm-up nobody knows."""
        times = [
            trtexec.Timing(start=float(place), compute=1.0 if place < 50 else later_ms, h2d=0.1, d2h=0.1, latency=1.2)
            for place in range(200)
        ]
        assert _settled(times, 100.0) is settled
        assert _settled(times, 0.0) is False

    def test_complaint(self) -> None:
        """What it marks as errors, else its last words."""
        assert trtexec.complaint("[I] a\n[01] [E] [TRT] bad node\n[E] no engine\nbye\n") == "[TRT] bad node | no engine"
        assert trtexec.complaint("a\nb\n\n") == "a | b"
        assert trtexec.complaint("") == "it wrote nothing"


MakeOnnx = Callable[..., Artifact]


@pytest.fixture
def make_onnx(tmp_path: Path) -> MakeOnnx:
    """Makes an ONNX artifact of the linear model; `golden` replaces the source's outputs."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime, which the stand-in runs models with, is not installed")

    def make(*, golden: Callable[[Floats], Floats] = linear, data: bytes | None = None, **changes: Any) -> Artifact:
        helper, numpy_helper = onnx.helper, importlib.import_module("onnx.numpy_helper")
        float32 = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["in", "w", "b"], ["out"], transB=1)],
            "linear",
            [helper.make_tensor_value_info("in", float32, [1, 4])],
            [helper.make_tensor_value_info("out", float32, [1, 3])],
            [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(BIAS, "b")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        folder = tmp_path / "linear.edgekit"
        folder.mkdir()
        (folder / "linear.onnx").write_bytes(model.SerializeToString() if data is None else data)
        inputs = np.random.default_rng(0).standard_normal((2, 1, 4)).astype(np.float32)
        outputs = np.stack([golden(vector) for vector in inputs])
        np.savez(folder / "golden.npz", **{"in:x": inputs, "out:y": outputs})  # type: ignore[arg-type]  # names hold a colon
        signature = Signature(
            inputs=(TensorSpec(name="x", shape=(1, 4), dtype="float32", binding="in"),),
            outputs=(TensorSpec(name="y", shape=(1, 3), dtype="float32", binding="out"),),
        )
        facts = msgspec.structs.replace(
            manifest(folder, "linear.onnx", ""), **{"format": "onnx", "signature": signature} | changes
        )
        write_manifest(folder, facts)
        return Artifact(path=folder, manifest=facts, id=artifact_id(facts))

    return make


MakeDevice = Callable[..., str]


@pytest.fixture
def tensorrt_device(ssh_device: str, tmp_path: Path) -> MakeDevice:
    """The URL of a device with a trtexec that claims to be of a version."""

    def make(version: str = "100300") -> str:
        program = tmp_path / "bin" / "trtexec"
        program.parent.mkdir()
        lines = ("#!/bin/sh", f'echo "$*" >> {tmp_path}/commands', f"export STAND_IN_VERSION={version}")
        program.write_text("\n".join([*lines, f'exec {sys.executable} {STAND_IN} "$@"\n']))
        program.chmod(0o755)
        return f"{ssh_device}&trtexec={program}"

    return make


def measure(
    device: str, artifact: Artifact, target: TargetProfile, *, schedule: Schedule = SHORT, **options: bool
) -> Run:
    """Stage and measure with trtexec."""
    url = parse_device(device)
    with catalog.transport(url.scheme).open(url, timeout_s=5) as link:
        deployment = HARNESS.stage(link, artifact, SilentProgress(), runtime="trtexec")
        return HARNESS.measure(link, deployment, target, schedule, SilentProgress(), device=url, **options)


@pytest.mark.slow
@pytest.mark.peer
class TestTensorRt:
    @pytest.mark.parametrize("version", ["8201", "100300"])
    def test_run(self, make_onnx: MakeOnnx, tensorrt_device: MakeDevice, target: TargetProfile, version: str) -> None:
        """Built, checked and measured on the device; the run says what its times are, and that nobody tried it."""
        artifact = make_onnx()
        run = measure(tensorrt_device(version), artifact, target, operators=True)
        assert run.runtime == f"TensorRT {'8.2.1' if version == '8201' else '10.3.0'}, trtexec (untested on hardware)"
        assert "computeMs" in run.method
        assert "untested on hardware" in run.method
        assert run.golden is not None
        assert (run.golden.passed, run.golden.vectors) == (True, 2)
        assert len(run.repetitions) == SHORT.repeat
        for repetition in run.repetitions:
            assert len(repetition.samples_ns) >= SHORT.min_samples
            assert min(*repetition.samples_ns, repetition.first_ns, repetition.peak_rss_bytes) > 0
            assert repetition.warmup_samples > 0
            assert repetition.load_ns == 12_300_000
        assert [(item.name, item.self_ns) for item in run.operators] == [("Gemm_0", 15_000)]
        assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run

    def test_an_engine_is_built_once(
        self, make_onnx: MakeOnnx, tensorrt_device: MakeDevice, target: TargetProfile, tmp_path: Path
    ) -> None:
        """It stays on the device, for this artifact and this TensorRT."""
        device, artifact = tensorrt_device(), make_onnx()
        for _ in range(2):
            measure(device, artifact, target, schedule=msgspec.structs.replace(SHORT, repeat=1))
        commands = (tmp_path / "commands").read_text().splitlines()
        assert len([line for line in commands if "--saveEngine" in line]) == 1
        (engine,) = (tmp_path / "device").glob("tensorrt/*/model.engine*")
        assert engine.name == "model.engine"

    def test_golden_mismatch(self, make_onnx: MakeOnnx, tensorrt_device: MakeDevice, target: TargetProfile) -> None:
        """Other outputs than the source's fail the run, unless it is to go on all the same and say so."""
        device, artifact = tensorrt_device(), make_onnx(golden=lambda x: np.ones((1, 3), np.float32) * x.sum())
        with pytest.raises(CheckFailed, match="relative RMS error is"):
            measure(device, artifact, target)
        run = measure(device, artifact, target, check_golden=False)
        assert run.golden is not None
        assert not run.golden.passed

    def test_a_model_that_it_cannot_parse(
        self, make_onnx: MakeOnnx, tensorrt_device: MakeDevice, target: TargetProfile
    ) -> None:
        """In trtexec's words, with its whole output in the log; no engine is left."""
        with pytest.raises(MeasurementError, match=r"could not build an engine: it ended with 1: \[TRT\]") as caught:
            measure(tensorrt_device(), make_onnx(data=b"garbage"), target)
        assert "Failed to parse onnx file" in caught.value.cause
        assert "ONNX Runtime may" in caught.value.hint
        assert caught.value.log is not None
        assert "&&&& FAILED" in caught.value.log.read_text()

    def test_precision_goal(self, make_onnx: MakeOnnx, tensorrt_device: MakeDevice, target: TargetProfile) -> None:
        """Processes are added until the budget is spent."""
        schedule = msgspec.structs.replace(SHORT, repeat=1, precision_goal=1e-9, budget_s=0.5)
        run = measure(tensorrt_device(), make_onnx(), target, schedule=schedule)
        assert run.stopped == "budget"

    def test_no_trtexec(self, make_onnx: MakeOnnx, ssh_device: str, target: TargetProfile) -> None:
        """Where it was looked for, and what brings it."""
        with pytest.raises(MeasurementError, match="There is no trtexec") as caught:
            measure(f"{ssh_device}&trtexec=/no/such/trtexec", make_onnx(), target)
        assert "/no/such/trtexec" in caught.value.cause
        assert "libnvinfer-bin" in caught.value.hint

    def test_another_program(self, make_onnx: MakeOnnx, ssh_device: str, target: TargetProfile) -> None:
        """Something of that name that has none of its options."""
        with pytest.raises(MeasurementError, match="is no trtexec that works"):
            measure(f"{ssh_device}&trtexec=/bin/true", make_onnx(), target)


class TestRefusals:
    """Said before a device is touched: there is none here."""

    @pytest.mark.parametrize(
        ("schedule", "what"),
        [
            (Schedule(mode="cold"), "cold mode"),
            (Schedule(mode="burst", period_s=0.1), "burst mode"),
            (Schedule(threads=4), "4 threads"),
            (Schedule(delegate="none"), "leaving a delegate out"),
            (Schedule(clock="instructions"), "the clock instructions"),
        ],
    )
    def test_schedules(self, target: TargetProfile, schedule: Schedule, what: str) -> None:
        """What trtexec cannot do."""
        nobody: Any = None
        with pytest.raises(UsageError, match=f"does not do {what}"):
            HARNESS.measure(nobody, nobody, target, schedule, SilentProgress(), device=parse_device("local:"))

    def test_other_artifacts(self, make_artifact: Callable[..., Artifact], linear_tflite: Path) -> None:
        """It builds engines of ONNX files."""
        nobody: Any = None
        with pytest.raises(UsageError, match="trtexec builds engines of ONNX artifacts"):
            HARNESS.stage(nobody, make_artifact(linear_tflite), SilentProgress())

    def test_pairs(self, target: TargetProfile) -> None:
        """One engine at a time."""
        nobody: Any = None
        with pytest.raises(UsageError, match="one model at a time"):
            HARNESS.measure_pair(nobody, nobody, target, SHORT, SilentProgress(), device=parse_device("local:"))
