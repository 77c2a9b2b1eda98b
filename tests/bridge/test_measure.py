"""Staging and measuring an artifact on this machine as the device."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.device import parse_device
from edgekit.errors import CheckFailed, MeasurementError
from edgekit.progress import SilentProgress
from edgekit.protocols import Deployment, Link
from edgekit.run import Run, Schedule
from edgekit.target import TargetProfile

LOCAL = parse_device("local:")
SHORT = Schedule(repeat=2, min_time_s=0.05, min_samples=20, warmup_s=0.02)
MakeArtifact = Callable[..., Artifact]


@pytest.fixture
def link() -> Iterator[Link]:
    """This machine."""
    with catalog.transport("local").open(LOCAL, timeout_s=5) as opened:
        yield opened


def stage(link: Link, artifact: Artifact) -> Deployment:
    """Stage, telling nobody."""
    return catalog.harness().stage(link, artifact, SilentProgress())


def measure(
    link: Link, artifact: Artifact, target: TargetProfile, *, check_golden: bool = True, schedule: Schedule = SHORT
) -> Run:
    """Stage and measure."""
    deployment = stage(link, artifact)
    return catalog.harness().measure(
        link, deployment, target, schedule, SilentProgress(), device=LOCAL, check_golden=check_golden
    )


class TestStage:
    def test_sent_once(self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path) -> None:
        """All files of the artifact and the harness go there, below its id; the second time nothing does."""
        artifact = make_artifact(linear_tflite)
        first = stage(link, artifact)
        assert first.sent_bytes > 0
        assert first.folder == link.home() / "artifacts" / "linear" / "versions" / artifact.id
        assert Path(first.folder, "linear.tflite").read_bytes() == linear_tflite.read_bytes()
        assert Path(first.harness).is_file()
        assert stage(link, artifact).sent_bytes == 0

    def test_damage_is_mended(self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path) -> None:
        """What is no longer right there is sent again."""
        artifact = make_artifact(linear_tflite)
        first = stage(link, artifact)
        Path(first.folder, "linear.tflite").write_bytes(b"rotten")
        Path(first.harness).write_bytes(b"rotten")
        assert stage(link, artifact).sent_bytes > 0
        assert Path(first.folder, "linear.tflite").read_bytes() == linear_tflite.read_bytes()
        assert Path(first.harness).read_bytes() != b"rotten"


@pytest.mark.slow
class TestMeasure:
    @pytest.mark.parametrize("model", ["linear_tflite", "linear_ptl"])
    def test_run(
        self,
        request: pytest.FixtureRequest,
        link: Link,
        make_artifact: MakeArtifact,
        target: TargetProfile,
        model: str,
    ) -> None:
        """A run holds every repetition with all its parts, the golden check and the machine."""
        artifact = make_artifact(request.getfixturevalue(model))
        run = measure(link, artifact, target)
        assert (run.artifact.id, run.device, run.target) == (artifact.id, "local:", "host")
        assert run.golden is not None
        assert run.golden.passed
        assert run.golden.vectors == 4
        assert len(run.repetitions) == SHORT.repeat
        for repetition in run.repetitions:
            assert len(repetition.samples_ns) >= SHORT.min_samples
            assert min(repetition.import_ns, repetition.load_ns, repetition.first_ns, *repetition.samples_ns) > 0
            assert repetition.warmup_samples > 0
            assert repetition.peak_rss_bytes >= repetition.base_rss_bytes > 0
        assert run.runtime.startswith(("LiteRT 2.", "TorchScript lite, torch 2."))
        assert run.environment.machine == os.uname().machine
        assert all(run.environment.packages.values())

    @pytest.mark.parametrize(
        "schedule",
        [
            Schedule(mode="burst", period_s=0.005, repeat=2, min_time_s=0.05, min_samples=5),
            Schedule(mode="cold", repeat=2, min_samples=1),
            Schedule(mode="sustained", repeat=1, min_time_s=2.5, max_samples=5_000_000),
            Schedule(delegate="none", repeat=1, min_time_s=0.05),
        ],
        ids=["burst", "cold", "sustained", "no delegate"],
    )
    def test_modes(
        self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path, target: TargetProfile, schedule: Schedule
    ) -> None:
        """Each way to measure gives what it is for, and says how it was done."""
        run = measure(link, make_artifact(linear_tflite), target, schedule=schedule)
        counts = [len(item.samples_ns) for item in run.repetitions]
        assert run.schedule == schedule
        assert all(item.interruptions is not None for item in run.repetitions)
        match schedule.mode:
            case "burst":
                assert all(5 <= count <= 12 for count in counts)
            case "cold":
                assert all(item.samples_ns == (item.first_ns,) for item in run.repetitions)
                assert "dropped from the page cache" in run.method
            case "sustained":
                (point, *_) = run.repetitions[0].trace
                assert 0.9 < point.seconds < 2.5
                assert 0 < point.samples < counts[0]
            case _:
                assert run.delegate == "none: built-in kernels"

    def test_precision_goal(
        self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path, target: TargetProfile
    ) -> None:
        """Processes are added until the median is known well enough, or the budget is spent; the run says which."""
        artifact = make_artifact(linear_tflite)
        easy = msgspec.structs.replace(SHORT, precision_goal=0.99, budget_s=60)
        hard = msgspec.structs.replace(SHORT, precision_goal=1e-9, budget_s=5.0)
        assert measure(link, artifact, target, schedule=easy).stopped == "goal"
        run = measure(link, artifact, target, schedule=hard)
        assert run.stopped == "budget"
        assert len(run.repetitions) > SHORT.repeat

    def test_a_pair_takes_turns(
        self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path, linear_ptl: Path, target: TargetProfile
    ) -> None:
        """Two runs of one pair, from the same processes; the one that was slowed on purpose says so and shows it."""
        harness = catalog.harness()
        pair = [stage(link, make_artifact(model)) for model in (linear_tflite, linear_ptl)]
        base, new = harness.measure_pair(
            link, (pair[0], pair[1]), target, SHORT, SilentProgress(), device=LOCAL, slowed=(0.0, 9.0)
        )
        assert base.pair == new.pair != ""
        assert (base.artifact.format, new.artifact.format) == ("tflite", "torchscript")
        assert len(base.repetitions) == len(new.repetitions) == SHORT.repeat
        assert "SLOWED by 9" in new.method
        assert "SLOWED" not in base.method

    def test_operators(
        self, link: Link, make_artifact: MakeArtifact, linear_ptl: Path, linear_tflite: Path, target: TargetProfile
    ) -> None:
        """TorchScript's profiler tells where the time goes; LiteRT's does not, which is said before anything is run."""
        deployment = stage(link, make_artifact(linear_ptl))
        harness = catalog.harness()
        run = harness.measure(link, deployment, target, SHORT, SilentProgress(), device=LOCAL, operators=True)
        assert "aten::linear" in [item.name for item in run.operators]
        assert list(run.operators) == sorted(run.operators, key=lambda item: -item.self_ns)
        deployment = stage(link, make_artifact(linear_tflite))
        with pytest.raises(MeasurementError, match="no times of single operators"):
            harness.measure(link, deployment, target, SHORT, SilentProgress(), device=LOCAL, operators=True)

    def test_ids_sort_by_time(
        self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path, target: TargetProfile
    ) -> None:
        """A later run has a greater id."""
        artifact = make_artifact(linear_tflite)
        first, second = (measure(link, artifact, target) for _ in range(2))
        assert first.id < second.id
        assert first.created < second.created

    def test_golden_mismatch(
        self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path, target: TargetProfile
    ) -> None:
        """Other outputs than the source's fail the run, unless it is to go on all the same and say so."""
        artifact = make_artifact(linear_tflite, golden=lambda x: np.ones((1, 3), np.float32) * x.sum())
        with pytest.raises(CheckFailed, match="relative RMS error is"):
            measure(link, artifact, target)
        run = measure(link, artifact, target, check_golden=False)
        assert run.golden is not None
        assert not run.golden.passed
        assert run.golden.relative_rms is not None
        assert run.golden.relative_rms > run.golden.max_error

    def test_not_a_number(
        self, link: Link, make_artifact: MakeArtifact, linear_tflite: Path, target: TargetProfile
    ) -> None:
        """An output that is not a number fails the check and is recorded as None."""
        artifact = make_artifact(linear_tflite, golden=lambda _: np.full((1, 3), np.nan, np.float32))
        with pytest.raises(CheckFailed, match="is not a number"):
            measure(link, artifact, target)
        run = measure(link, artifact, target, check_golden=False)
        assert run.golden is not None
        assert (run.golden.passed, run.golden.relative_rms) == (False, None)

    @pytest.mark.parametrize("name", ["model.tflite", "model.ptl"])
    def test_garbage(
        self, link: Link, make_artifact: MakeArtifact, tmp_path: Path, target: TargetProfile, name: str
    ) -> None:
        """A model file that is none is one error without a traceback, with a log."""
        model = tmp_path / name
        model.write_bytes(b"garbage" * 100)
        with pytest.raises(MeasurementError) as caught:
            measure(link, make_artifact(model), target)
        assert "Traceback" not in caught.value.cause
        assert caught.value.hint
        assert caught.value.log is not None
        assert caught.value.log.is_file()

    def test_engine(self, link: Link, make_artifact: MakeArtifact, linear_ptl: Path, target: TargetProfile) -> None:
        """TorchScript runs with the engine that the artifact was made for."""
        run = measure(link, make_artifact(linear_ptl, engine="qnnpack"), target)
        assert run.delegate.endswith("quantized engine qnnpack")
