"""Programs of the runtimes' makers: where they come from, what they are told and write, and the whole way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edgekit
from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.device import parse_device
from edgekit.device_facts import Cluster, DeviceFacts
from edgekit.errors import CheckFailed, DeviceError, EdgekitError, MeasurementError, UsageError
from edgekit.measure import on_cluster
from edgekit.paths import cache_folder
from edgekit.provisioning import provision, unprovision
from edgekit.run import Delegate, Schedule
from edgekit.store import open_store
from edgekit_bridge.native.benchmark_model import _BenchmarkModel
from edgekit_bridge.native.onnxruntime_perf_test import _OnnxruntimePerfTest
from edgekit_bridge.native.speed_benchmark_torch import _SpeedBenchmarkTorch
from edgekit_bridge.native.tool import Job, Tool
from edgekit_cli.main import main
from models.linear import MakeArtifact
from peers.programs import MakeProgram

DATA = Path(__file__).parent / "data"
SHORT = Schedule(repeat=2, min_time_s=0.05, min_samples=10, warmup_s=0.02)


def told(name: str) -> str:
    """An output that a user of the program published."""
    return (DATA / "programs" / f"{name}.txt").read_text("utf-8")


def bench(
    artifact: Artifact, *, schedule: Schedule = SHORT, operators: bool = False, check: bool = True
) -> edgekit.Run:
    """Measure on this host by benchmark_model."""
    return edgekit.benchmark(
        artifact, runtime="benchmark_model", schedule=schedule, operators=operators, check_golden=check
    )


class TestReading:
    """Outputs as the programs write them, published by people who ran them on phones and boards."""

    def test_benchmark_model_of_2021(self) -> None:
        """Without percentiles: the mean is what there is, and may be written with an exponent."""
        reading = _BenchmarkModel().read(told("benchmark_model-2021-riscv"), Schedule())
        assert (reading.load_ns, reading.first_ns) == (17_187_000, 3_512_391_000)
        assert reading.samples_ns == (2_950_340_000,)
        assert (reading.warmup_samples, reading.inferences) == (1, 50)
        assert (reading.fastest_ns, reading.slowest_ns) == (2_727_568_000, 3_189_954_000)
        assert reading.memory_bytes == round(46.0859 * 2**20)

    def test_benchmark_model_of_today(self) -> None:
        """By its log on Android, with percentiles and what XNNPACK took."""
        reading = _BenchmarkModel().read(told("benchmark_model-2026-android"), Schedule())
        assert reading.samples_ns == (141_253_000,)
        assert (reading.warmup_samples, reading.inferences) == (3, 25)
        assert reading.delegate == "XNNPACK, 539 of 548 operators"

    def test_operators(self) -> None:
        """Of the measured inferences, not of the start."""
        found = _BenchmarkModel().read_profile(told("benchmark_model-2021-riscv"))
        assert len(found) == 31
        assert found[0].name == "CONV_2D MobilenetV1/MobilenetV1/Conv2d_0/Relu6"
        assert found[0].self_ns == 60_957_000
        assert found[-1].name == "SOFTMAX MobilenetV1/Predictions/Reshape_1"

    def test_speed_benchmark_torch(self) -> None:
        """Each inference is told."""
        reading = _SpeedBenchmarkTorch().read(told("speed_benchmark_torch"), Schedule())
        assert reading.samples_ns == (599_746_000, 570_505_000, 583_396_000)
        assert reading.inferences == 0

    @pytest.mark.parametrize(
        ("name", "median", "count"),
        [("onnxruntime_perf_test-k1", 60_356_200, 100), ("onnxruntime_perf_test-arm", 99_508_600, 5)],
    )
    def test_onnxruntime_perf_test(self, name: str, median: int, count: int) -> None:
        """Of two versions, which word the mean otherwise."""
        reading = _OnnxruntimePerfTest().read(told(name), Schedule())
        assert reading.samples_ns == (median,)
        assert reading.inferences == count
        assert reading.memory_bytes > 100e6

    @pytest.mark.parametrize(
        "tool", [_BenchmarkModel(), _SpeedBenchmarkTorch(), _OnnxruntimePerfTest()], ids=lambda tool: tool.name
    )
    @pytest.mark.parametrize(
        "output", ["", "Segmentation fault", "count=0\nInference timings in us: Init: x", "\x1b[2J"]
    )
    def test_what_no_version_writes(self, tool: Tool, output: str) -> None:
        """Is an error that shows its end, without what a terminal would obey."""
        with pytest.raises(MeasurementError, match="answers as no known version does") as caught:
            tool.read(output, Schedule())
        assert "\x1b" not in caught.value.cause

    @pytest.mark.parametrize("delegate", ["gpu", "nnapi"])
    def test_a_delegate_that_took_nothing(self, delegate: Delegate) -> None:
        """Is no measurement of it."""
        output = told("benchmark_model-2026-android").replace("Replacing 539", "(nothing)")
        with pytest.raises(MeasurementError, match="took none of the model"):
            _BenchmarkModel().read(output, Schedule(delegate=delegate))


class TestCommands:
    @pytest.fixture
    def job(self, linear_tflite: Path, make_artifact: MakeArtifact) -> Job:
        """A call of a program at /p for the model /m."""
        artifact = make_artifact(linear_tflite)
        return Job(program="/p", model="/m", folder="/f", manifest=artifact.manifest, schedule=SHORT, inputs=["/f/x"])

    def test_benchmark_model(self, job: Job) -> None:
        """Inputs by files, with the shape that must go with them; time and count by the schedule."""
        assert _BenchmarkModel().timed(job) == [
            "/p", "--graph=/m", "--num_threads=1", "--input_layer=input0", "--input_layer_shape=1,4",
            "--input_layer_value_files=input0:/f/x", "--num_runs=10", "--min_secs=0.05", "--max_secs=150",
            "--warmup_min_secs=0.02",
        ]  # fmt: skip
        burst = msgspec.structs.replace(SHORT, mode="burst", period_s=0.05, delegate="none")
        words = _BenchmarkModel().timed(msgspec.structs.replace(job, schedule=burst))
        assert {"--run_frequency=20", "--use_xnnpack=false"} <= set(words)

    def test_speed_benchmark_torch(self, job: Job) -> None:
        """It makes inputs of the shapes itself."""
        assert _SpeedBenchmarkTorch().timed(job) == [
            "/p", "--model=/m", "--input_dims=1,4", "--input_type=float", "--input_memory_format=contiguous_format",
            "--warmup=10", "--iter=10", "--report_pep=true",
        ]  # fmt: skip

    def test_onnxruntime_perf_test(self, job: Job) -> None:
        """For whole seconds."""
        assert _OnnxruntimePerfTest().timed(job) == [
            "/p", "-I", "-s", "-e", "cpu", "-x", "1", "-m", "duration", "-t", "1", "/m",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("tool", "change"),
        [
            (_BenchmarkModel(), {"mode": "cold"}),
            (_SpeedBenchmarkTorch(), {"threads": 2}),
            (_SpeedBenchmarkTorch(), {"delegate": "gpu"}),
            (_OnnxruntimePerfTest(), {"delegate": "gpu"}),
            (_OnnxruntimePerfTest(), {"mode": "burst", "period_s": 0.1}),
        ],
        ids=str,
    )
    def test_what_a_program_has_no_option_for(self, tool: Tool, change: dict[str, object]) -> None:
        """Is refused before anything runs."""
        with pytest.raises(UsageError):
            tool.check_schedule(msgspec.structs.replace(SHORT, **change))


class TestProvision:
    def test_a_file_is_kept_by_its_hash(self, tmp_path: Path) -> None:
        """The one named last is used; what was taken before stays."""
        file = tmp_path / "mine"
        file.write_text("#!/bin/sh\nexit 1\n")
        done = provision("local:", runtime="benchmark_model", origin=str(file))
        assert done.runtime == "benchmark_model"
        assert done.sent_bytes == file.stat().st_size
        assert provision("local:", runtime="benchmark_model").sent_bytes == 0
        file.write_text("#!/bin/sh\nexit 2\n")
        assert provision("local:", runtime="benchmark_model", origin=str(file)).folder != done.folder
        assert unprovision("local:", runtime="benchmark_model") == "benchmark_model"
        assert not Path(done.folder, "benchmark_model").exists()

    def test_a_url(self, tmp_path: Path, serve: Callable[[Path], str]) -> None:
        """Downloaded once; not asked for again without --upgrade."""
        file = tmp_path / "served" / "benchmark_model"
        file.parent.mkdir()
        file.write_text("#!/bin/sh\n")
        url = f"{serve(file.parent)}/benchmark_model"
        first = provision("local:", runtime="benchmark_model", origin=url)
        file.unlink()
        assert provision("local:", runtime="benchmark_model", offline=True).folder == first.folder
        with pytest.raises(DeviceError, match=r"Cannot download .* not found"):
            provision("local:", runtime="benchmark_model", origin=url)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"origin": "/nowhere/benchmark_model"}, "There is no file /nowhere/benchmark_model"),
            ({"origin": "/dev/zero"}, "There is no file /dev/zero"),
            ({"origin": "http://127.0.0.1:1/x"}, "Cannot download http://127.0.0.1:1/x"),
            ({"origin": __file__, "sha256": "0" * 64}, "has the SHA-256"),
            ({"version": "2.14"}, "has no versions"),
            ({"runtime": "onnxruntime_perf_test"}, "no documented place"),
            ({"runtime": "litert", "origin": __file__}, "are for programs"),
            ({"offline": True}, "was not downloaded before"),
        ],
        ids=str,
    )
    def test_what_cannot_be_had(self, options: dict[str, Any], words: str) -> None:
        """Says why, and leaves nothing."""
        with pytest.raises(EdgekitError, match=words) as caught:
            provision("local:", **{"runtime": "benchmark_model", **options})
        assert caught.value.hint

    def test_a_program_that_does_not_start(self, tmp_path: Path) -> None:
        """Says what it must be built for."""
        file = tmp_path / "benchmark_model"
        file.write_text("#!/nowhere/interpreter\n")
        with pytest.raises(DeviceError, match="does not start there") as caught:
            provision("local:", runtime="benchmark_model", origin=str(file))
        assert "built for linux_" in caught.value.hint


@pytest.mark.slow
class TestHere:
    """The whole way on this host, by a stand-in that LiteRT executes models for."""

    @pytest.fixture
    def artifact(self, linear_tflite: Path, make_artifact: MakeArtifact, make_program: MakeProgram) -> Artifact:
        """An artifact, and the program for it."""
        provision("local:", runtime="benchmark_model", origin=str(make_program("benchmark_model")))
        return make_artifact(linear_tflite)

    def test_a_run(self, artifact: Artifact) -> None:
        """Golden vectors pass; a sample stands for a process's inferences, and says so."""
        run = bench(artifact, operators=True)
        assert run.golden is not None
        assert run.golden.passed
        assert run.runtime.startswith("benchmark_model ")
        assert "untested on hardware" in run.runtime
        assert run.delegate == "XNNPACK, 1 of 1 operators"
        assert len(run.repetitions) == SHORT.repeat
        for item in run.repetitions:
            assert len(item.samples_ns) == 1
            assert item.inferences >= SHORT.min_samples
            assert (item.fastest_ns or 0) <= item.samples_ns[0] <= (item.slowest_ns or 0)
        assert [item.name for item in run.operators] == ["FULLY_CONNECTED layer0"]
        assert open_store().load(run.id) == run

    def test_a_sustained_run_is_a_curve(self, artifact: Artifact) -> None:
        """Process after process, each a sample, with the device's state between them."""
        schedule = msgspec.structs.replace(SHORT, mode="sustained", min_time_s=1.5, repeat=1)
        (item,) = bench(artifact, schedule=schedule).repetitions
        assert len(item.samples_ns) == len(item.trace) >= 1
        assert item.trace[-1].seconds >= 1.5

    @pytest.mark.parametrize(("habit", "error", "words"), [
        ("wrong", CheckFailed, "gives other outputs"),
        ("old", MeasurementError, "wrote no outputs"),
    ])  # fmt: skip
    def test_outputs_that_are_wrong_or_none(
        self, habit: str, error: type[EdgekitError], words: str, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Fail the run."""
        monkeypatch.setenv("STAND_IN", habit)
        with pytest.raises(error, match=words):
            bench(artifact)

    def test_a_delegate_that_is_not_there(self, artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
        """Fails, where the CPU would have been measured in its place."""
        monkeypatch.setenv("STAND_IN", "no-gpu")
        with pytest.raises(MeasurementError, match="took none"):
            bench(artifact, schedule=msgspec.structs.replace(SHORT, delegate="gpu"))
        monkeypatch.delenv("STAND_IN")
        run = bench(artifact, schedule=msgspec.structs.replace(SHORT, delegate="gpu", repeat=1))
        assert run.delegate == "GPU, the whole model"

    def test_a_program_that_was_changed_on_the_device(self, artifact: Artifact) -> None:
        """Is sent again: what runs is what lies here."""
        bench(artifact)
        with catalog.transport("local").open(parse_device("local:"), timeout_s=5) as link:
            (there,) = Path(link.home()).glob("programs/*/benchmark_model")
        there.write_text("#!/bin/sh\necho evil\n")
        assert bench(artifact).golden is not None
        assert "evil" not in there.read_text()

    def test_a_program_that_was_changed_here(self, artifact: Artifact) -> None:
        """Is not used."""
        bench(artifact)
        (kept,) = (cache_folder() / "programs").rglob("benchmark_model/*/*/benchmark_model")
        kept.write_text("#!/bin/sh\necho evil\n")
        with pytest.raises(MeasurementError, match="was changed since"):
            bench(artifact)

    def test_no_program(self, linear_tflite: Path, make_artifact: MakeArtifact) -> None:
        """Says how to get one."""
        with pytest.raises(MeasurementError, match="measured there by benchmark_model") as caught:
            bench(make_artifact(linear_tflite))
        assert "edgekit provision DEVICE --runtime benchmark_model" in caught.value.hint

    def test_another_format(self, linear_ptl: Path, make_artifact: MakeArtifact) -> None:
        """Is refused before anything travels."""
        with pytest.raises(UsageError, match="executes tflite"):
            bench(make_artifact(linear_ptl))

    def test_one_that_takes_no_inputs(self, linear_ptl: Path, make_artifact: MakeArtifact, tmp_path: Path) -> None:
        """Measures only when nobody asks whether it is right."""
        program = tmp_path / "speed_benchmark_torch"
        program.write_text(f"#!/bin/sh\ncat {DATA}/programs/speed_benchmark_torch.txt\n")
        provision("local:", runtime="speed_benchmark_torch", origin=str(program))
        artifact = make_artifact(linear_ptl)
        with pytest.raises(UsageError, match="cannot be given inputs"):
            edgekit.benchmark(artifact, runtime="speed_benchmark_torch", schedule=SHORT)
        run = edgekit.benchmark(artifact, runtime="speed_benchmark_torch", schedule=SHORT, check_golden=False)
        assert run.golden is None
        assert run.samples_ns[0] == (599_746_000, 570_505_000, 583_396_000)


class TestClusters:
    """`--cores big`: the cores of the highest clock, as the device tells of them."""

    @pytest.fixture
    def clusters(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Lets the device have clusters of these clocks, four cores each."""

        def have(*clocks_mhz: int) -> None:
            found = tuple(
                Cluster(max_hz=1_000_000 * clock, cores=tuple(range(4 * place, 4 * place + 4)))
                for place, clock in enumerate(clocks_mhz)
            )
            facts = DeviceFacts(machine="aarch64", userland="aarch64", clusters=found)

            class Probe:
                def describe(self, link: object) -> DeviceFacts:
                    """What was said."""
                    del link
                    return facts

            monkeypatch.setattr(catalog, "probe", Probe)

        return have

    @pytest.mark.parametrize(("cluster", "cores"), [("big", (4, 5, 6, 7)), ("little", (0, 1, 2, 3)), ("", ())])
    def test_by_clock(self, cluster: Any, cores: tuple[int, ...], clusters: Callable[..., None]) -> None:
        """The fastest and the slowest; what lies between is neither."""
        clusters(1800, 2800, 2300)
        with catalog.transport("local").open(parse_device("local:"), timeout_s=5) as link:
            assert on_cluster(Schedule(cluster=cluster), link).affinity == cores

    def test_all_of_one_kind(self, clusters: Callable[..., None]) -> None:
        """Have no big ones."""
        clusters(1800)
        with (
            catalog.transport("local").open(parse_device("local:"), timeout_s=5) as link,
            pytest.raises(UsageError, match="There are no big cores"),
        ):
            on_cluster(Schedule(cluster="big"), link)

    @pytest.mark.parametrize(
        ("words", "wrong"), [(["--cores", "huge"], "no list of cores"), (["--cooldown", "warm"], "no temperature")]
    )
    def test_words_that_are_none(self, words: list[str], wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Are refused with those that are."""
        assert main(["bench", "x.edgekit", *words]) == 2
        assert wrong in capsys.readouterr().err
