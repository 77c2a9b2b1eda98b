"""`edgekit bench` on bare boards: firmware as a program of this machine, and on a Cortex-M4 under QEMU."""

import os
import pty
import tty
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgekit
from edgekit.artifact import Artifact, load_artifact, write_manifest
from edgekit.errors import CheckFailed, MeasurementError, UsageError
from edgekit.run import Run, Schedule
from edgekit_cli.main import main
from models.linear import MakeArtifact
from models.negated_c import copy_artifact, with_quantization
from peers.boards import StartBoard

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SHORT = Schedule(repeat=2, min_time_s=0.005, min_samples=5, warmup_s=0.0)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Ten samples, of which the model (whose largest output is at the smallest input) gets eight right."""
    x = np.random.default_rng(3).integers(-50, 50, (10, 4)).astype(np.float32)
    x[:, 0] -= 0.5
    labels = x.argmin(axis=1)
    labels[:2] = (labels[:2] + 1) % 4
    np.savez(tmp_path / "test.npz", x=x, labels=labels)
    return tmp_path / "test.npz"


def check_run(run: Run, negated: Artifact) -> None:
    """What holds of every board."""
    assert run.artifact.id == negated.id
    assert run.golden is not None
    assert run.golden.passed
    assert run.golden.relative_rms == 0
    assert len(run.repetitions) == 2
    assert all(len(samples) >= 5 for samples in run.samples_ns)
    assert [item.name for item in run.operators] == ["NEG negate", "FILL wipe"]
    assert run.firmware is not None
    assert run.firmware.arena_bytes == 32
    assert run.evaluation is not None
    assert (run.evaluation.samples, run.evaluation.accuracy) == (10, 0.8)


def test_a_program_of_this_machine(
    negated: Artifact, posix_firmware: Path, start_board: StartBoard, labelled: Path
) -> None:
    """The whole way over a socket: golden vectors, samples, layers, and accuracy computed there."""
    run = edgekit.benchmark(
        negated, device=start_board(posix_firmware), schedule=SHORT, operators=True, evaluation=labelled
    )
    check_run(run, negated)
    assert run.schedule.clock == "wall"
    assert run.environment.kind in {"physical", "virtual", "emulated"}


def test_a_cortex_m4_counts_instructions(
    negated: Artifact, cortex_firmware: Path, start_board: StartBoard, labelled: Path
) -> None:
    """Under QEMU's -icount every figure is instructions, the same each time, and labelled so."""
    url = start_board(cortex_firmware)
    runs = [
        edgekit.benchmark(negated, device=url, schedule=SHORT, operators=True, evaluation=labelled) for _ in range(2)
    ]
    for run in runs:
        check_run(run, negated)
        assert run.schedule.clock == "instructions"
        assert (run.environment.kind, run.target) == ("emulated", "qemu-mps2-an386")
        assert "instructions" in run.method
        assert run.firmware is not None
        assert 10_000 < run.firmware.flash_bytes < 40_000
        assert run.firmware.ram_bytes > 8192
        assert 100 < run.firmware.stack_bytes < 4096
        assert run.environment.memory_bytes == 4 * 2**20
    samples = [sample for run in runs for process in run.samples_ns for sample in process]
    assert max(samples) - min(samples) <= 40  # a tick of SysTick


def test_the_command(
    negated: Artifact,
    cortex_firmware: Path,
    start_board: StartBoard,
    labelled: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It shows what of flash and RAM is taken, layers, and the accuracy that was computed there."""
    url = start_board(cortex_firmware)
    page = labelled.with_name("report.html")
    where = ["--device", url, "--repeat", "2", "--eval", str(labelled), "--operators", "--report", str(page)]
    assert main(["bench", str(negated.path), *where]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Minstr" in out
    assert "EMULATED: Cortex-M4" in out
    assert "Memory: flash" in out
    assert "80.00%, 8 of 10 samples of test.npz, computed on the device" in out
    assert "Layers of negated-c-int8" in out
    assert "80.00% of 10 samples" in page.read_text()
    assert main(["runs", "show", edgekit_runs()[0]]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "edgekit 1, SysTick at 25 MHz, flash" in shown
    assert "qemu-mps2-an386, 1 core, 4,194 kB, emulated" in shown


def test_a_cortex_m4_by_mlperf_tiny(negated: Artifact, cortex_firmware: Path, start_board: StartBoard) -> None:
    """The same firmware answers that benchmark's text; its name tells the profile, and so that it is emulated."""
    text = f"{start_board(cortex_firmware)}?protocol=mlperf-tiny&seconds=0.00001"
    run = edgekit.benchmark(with_quantization(negated), device=text, schedule=SHORT)
    assert (run.target, run.environment.kind) == ("qemu-mps2-an386", "emulated")
    assert len(run.repetitions) == 5
    assert run.golden is not None
    assert run.golden.passed


def edgekit_runs() -> list[str]:
    """The ids of stored runs, the newest first."""
    from edgekit.store import open_store

    return [item.id for item in open_store().runs()]


def test_another_model_on_the_board(
    negated: Artifact, posix_firmware: Path, start_board: StartBoard, tmp_path: Path
) -> None:
    """Nobody measures what he did not mean to: the firmware must hold this very artifact."""
    other = copy_artifact(negated, tmp_path / "other.edgekit")
    write_manifest(other, msgspec.structs.replace(negated.manifest, notes=("another",)))
    with pytest.raises(MeasurementError, match=r"holds negated \(.*not other.edgekit") as caught:
        edgekit.benchmark(load_artifact(other), device=start_board(posix_firmware), schedule=SHORT)
    assert "firmware build" in caught.value.hint


def test_golden_vectors_that_differ(
    negated: Artifact, posix_firmware: Path, start_board: StartBoard, tmp_path: Path
) -> None:
    """A board that computes something else fails the run, unless that is asked for."""
    other = copy_artifact(negated, tmp_path / "other.edgekit")
    with np.load(other / "golden.npz") as found:
        values = {"in:x": found["in:x"], "out:y": found["out:y"] + 3}
    np.savez(other / "golden.npz", **values)
    wrong = msgspec.structs.replace(negated, path=other)
    url = start_board(posix_firmware)
    with pytest.raises(CheckFailed, match="gives other outputs"):
        edgekit.benchmark(wrong, device=url, schedule=SHORT)
    run = edgekit.benchmark(wrong, device=url, schedule=SHORT, check_golden=False)
    assert run.golden is not None
    assert not run.golden.passed


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        (Schedule(threads=2), "no 2 threads"),
        (Schedule(mode="cold"), "no mode cold"),
        (Schedule(governor="performance"), "no a governor"),
        (Schedule(affinity=(1,)), "no a choice of cores"),
    ],
)
def test_what_a_bare_board_does_not_have(negated: Artifact, schedule: Schedule, complaint: str) -> None:
    """Is said before the line is opened."""
    with pytest.raises(UsageError, match=complaint):
        edgekit.benchmark(negated, device="serial:/dev/null", schedule=schedule)


def test_what_does_not_fit_a_serial_line(negated: Artifact, tmp_path: Path) -> None:
    """A runtime, a set without labels, an unknown protocol or option: each named."""
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 4), np.float32))
    with pytest.raises(UsageError, match="no runtime litert"):
        edgekit.benchmark(negated, device="serial:/dev/null", runtime="litert")
    with pytest.raises(UsageError, match="no labels"):
        edgekit.benchmark(negated, device="serial:/dev/null", evaluation=tmp_path / "x.npz")
    with pytest.raises(UsageError, match="protocol 'mlperf'") as caught:
        edgekit.benchmark(negated, device="serial:/dev/null?protocol=mlperf")
    assert "mlperf-tiny" in caught.value.hint
    with pytest.raises(UsageError, match="option 'protokoll'"):
        edgekit.benchmark(negated, device="serial:/dev/null?protokoll=x")
    with pytest.raises(UsageError, match="bare boards only"):
        edgekit.benchmark(negated, device="local:", evaluation=tmp_path / "x.npz")


def test_nothing_but_a_shell_answers(negated: Artifact) -> None:
    """A line on which nobody speaks the protocol ends with what to look at."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with pytest.raises(MeasurementError, match="Nothing answers"):
        edgekit.benchmark(negated, device=f"serial:{os.ttyname(theirs)}")
    os.close(ours)
    os.close(theirs)


def test_instructions_where_there_are_none(negated: Artifact, posix_firmware: Path, start_board: StartBoard) -> None:
    """A real clock is not passed off as instructions."""
    with pytest.raises(UsageError, match="counts no instructions"):
        edgekit.benchmark(negated, device=start_board(posix_firmware), schedule=Schedule(clock="instructions"))


def test_another_rate(negated: Artifact, posix_firmware: Path, start_board: StartBoard) -> None:
    """Both ends go on at the rate that is asked for after they have met."""
    from peers.bad_line import BadLine

    number = int(start_board(posix_firmware).rpartition(":")[2])
    with BadLine(number) as line:
        run = edgekit.benchmark(negated, device=f"serial:{line.port}?speed=921600", schedule=SHORT)
    assert run.golden is not None
    assert run.golden.passed


def test_what_edgekit_compiled_itself(
    linear_tflite: Path, make_artifact: MakeArtifact, tmp_path: Path, start_board: StartBoard
) -> None:
    """A TFLite file becomes C, the C becomes firmware, and what that computes is what the file computes.

    By MLPerf Tiny's protocol the TFLite artifact itself is measured there: its firmware is somebody's of the same file.
    """
    from edgekit.progress import SilentProgress
    from edgekit_bridge.firmware.build import build

    artifact = edgekit.convert(linear_tflite, format="c", precision="fp32", out=tmp_path / "out")
    build(artifact, "posix", tmp_path / "firmware", SilentProgress())
    url = start_board(tmp_path / "firmware")
    run = edgekit.benchmark(artifact, device=url, schedule=SHORT, operators=True)
    assert run.golden is not None
    assert run.golden.passed
    assert [item.name.split()[0] for item in run.operators] == ["FULLY_CONNECTED"]
    assert run.firmware is not None
    assert run.firmware.weight_bytes > 0
    text = f"{url}?protocol=mlperf-tiny&seconds=0.01"
    theirs = edgekit.benchmark(make_artifact(linear_tflite), device=text, schedule=SHORT)
    assert theirs.golden is not None
    assert theirs.golden.passed
    assert theirs.artifact.format == "tflite"
