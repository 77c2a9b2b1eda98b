"""A run on a board with MLPerf Tiny firmware, by that benchmark's rules."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit import catalog
from edgekit.artifact import Artifact, Manifest
from edgekit.device import DeviceUrl
from edgekit.errors import MeasurementError, UsageError
from edgekit.model import TensorSpec
from edgekit.protocols import Progress, Tensors
from edgekit.run import CpuState, Environment, Firmware, Repetition, Run, Schedule
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.record import mismatch, new_run
from edgekit_bridge.native.tflite_file import open_tflite
from edgekit_bridge.serial.accuracy import evaluate, golden_on
from edgekit_bridge.serial.board import BoardTensor
from edgekit_bridge.serial.mlperf_tiny import TextBoard
from edgekit_bridge.serial.stream import ByteStream
from edgekit_bridge.serial.tensors import stored

if TYPE_CHECKING:
    from edgekit.dataset import DataSet
    from edgekit.protocols import Array

MLPERF_TINY: Final = "mlperf-tiny"

INPUTS: Final = 5
"""How many inputs are measured; their median counts (MLPerf Tiny's rules)."""

LEAST_S: Final = 10.0
LEAST_INFERENCES: Final = 10
"""The least of a measurement on one input: so long, and so many (MLPerf Tiny's rules)."""

WARMUPS: Final = 10

_FIRST_S: Final = 120.0


class _Model:
    """The artifact as MLPerf Tiny firmware has it: raw bytes in, real numbers out, no names."""

    def __init__(self, board: TextBoard, artifact: Artifact) -> None:
        self._board = board
        self._manifest = artifact.manifest
        is_tflite = artifact.manifest.format == "tflite"
        self._file = open_tflite(artifact.model, artifact.manifest.signature) if is_tflite else None
        self.one_us = 0.0

    def load(self, sample: Tensors) -> None:
        """Give the inputs, one after the other."""
        raw = self._file.raw_inputs(sample) if self._file else raw_inputs(self._manifest, sample)
        self._board.load(b"".join(raw))

    def infer(self, count: int, warmups: int) -> tuple[float, tuple[float, ...]]:
        """Microseconds of one inference, and the outputs."""
        patience_s = max(5.0, 3e-6 * self.one_us * (count + warmups)) if self.one_us else _FIRST_S
        found = self._board.infer(count, warmups, patience_s=patience_s)
        self.one_us = max(1.0, found.elapsed_us / count)
        return found.elapsed_us / count, found.results

    def run(self, sample: Tensors) -> "dict[str, Array]":
        """One inference, outputs by name."""
        self.load(sample)
        return split_results(self._manifest.signature.outputs, self.infer(1, 0)[1])


def raw_inputs(manifest: Manifest, sample: Tensors) -> list[bytes]:
    """The bytes of each input: quantized where the manifest says how, else as they are."""
    return [
        stored(spec, _as_tensor(spec), on_device.given(dict(sample), msgspec.to_builtins(spec)))
        for spec in manifest.signature.inputs
    ]


def _as_tensor(spec: TensorSpec) -> BoardTensor:
    import numpy as np

    shape = tuple(int(dim) for dim in spec.shape)
    quantized = spec.quantization
    dtype = "int8" if quantized and np.dtype(spec.dtype).kind == "f" else spec.dtype
    scale, zero = (quantized.scale[0], quantized.zero_point[0]) if quantized else (0.0, 0)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return BoardTensor(spec.name, dtype, scale, zero, size, shape)


def split_results(outputs: Sequence[TensorSpec], values: Sequence[float]) -> "dict[str, Array]":
    """Outputs by name from numbers that come one after the other.

    Raises:
        MeasurementError: There are more or fewer than the model has.
    """
    import numpy as np

    shapes = [[int(dim) for dim in spec.shape] for spec in outputs]
    if sum(math.prod(shape) for shape in shapes) != len(values):
        raise MeasurementError(
            f"The firmware gave {len(values)} results; the artifact's outputs are {', '.join(map(str, shapes))}.",
            hint="Does it hold this model?",
        )
    found: dict[str, Array] = {}
    place = 0
    for spec, shape in zip(outputs, shapes, strict=True):
        count = math.prod(shape)
        found[spec.name] = np.array(values[place : place + count], np.float32).reshape(shape)
        place += count
    return found


def measure_mlperf_tiny(
    stream: ByteStream,
    artifact: Artifact,
    schedule: Schedule,
    progress: Progress,
    *,
    device: DeviceUrl,
    target: str,
    check_golden: bool,
    operators: bool,
    evaluation: "DataSet | None",
    seconds: float | None,
) -> Run:
    """See `edgekit.protocols.BoardHarness`; `seconds` takes the place of the rule's 10.

    Raises:
        UsageError: Layers or instructions are asked for.
        MeasurementError: Nothing answers, or the firmware holds another model.
        CheckFailed: The golden vectors differ on the board, and `check_golden` is set.
    """
    if operators or schedule.clock != "wall":
        raise UsageError(
            "MLPerf Tiny's protocol tells neither layers nor instructions.",
            hint="Leave --operators and --clock out, or use edgekit's firmware and protocol.",
        )
    least_s = LEAST_S if seconds is None else seconds
    with progress.step(f"meet the firmware at {device}"):
        board = TextBoard(stream)
    target = target or _own_target(board)
    model = _Model(board, artifact)
    golden = golden_on(model.run, artifact, progress)
    if check_golden and not golden.passed:
        raise mismatch(artifact, golden, device)
    found = _measure(model, artifact, least_s, progress)
    accuracy = evaluate(model.run, artifact, evaluation, progress) if evaluation else None
    rules = "" if least_s >= LEAST_S else f"; not by the rules, which ask for {LEAST_S:g} s"
    return new_run(
        artifact,
        device,
        target=target or "unknown",
        schedule=msgspec.structs.replace(schedule, repeat=INPUTS, min_time_s=least_s, min_samples=LEAST_INFERENCES),
        runtime=f"MLPerf Tiny firmware ({board.model or 'model unknown'})",
        delegate="",
        method=f"MLPerf Tiny: mean of at least {LEAST_INFERENCES} inferences and {least_s:g} s between two m-lap-us, "
        f"for each of {INPUTS} inputs, whose median counts{rules}",
        golden=golden,
        repetitions=tuple(found),
        environment=_environment(board, target),
        firmware=Firmware(board=board.name, protocol=MLPERF_TINY, clock="m-lap-us", clock_hz=1_000_000),
        evaluation=accuracy,
    )


def _measure(model: _Model, artifact: Artifact, least_s: float, progress: Progress) -> list[Repetition]:
    from edgekit.golden import load_golden

    vectors, _ = load_golden(artifact.golden)
    found = []
    with progress.step(f"measure {artifact.manifest.name} by MLPerf Tiny's rules", total=float(INPUTS)) as step:
        for place in range(INPUTS):
            model.load(vectors[place % len(vectors)])
            count = max(LEAST_INFERENCES, math.ceil(1.02 * least_s * 1e6 / model.one_us))
            elapsed_us, _ = model.infer(count, WARMUPS)
            while elapsed_us * count < least_s * 1e6:
                count = math.ceil(1.1 * count * least_s * 1e6 / max(1.0, elapsed_us * count))
                elapsed_us, _ = model.infer(count, WARMUPS)
            found.append(_repetition(elapsed_us, count))
            step.advance(1)
    return found


def _repetition(one_us: float, count: int) -> Repetition:
    nanoseconds = max(1, round(1e3 * one_us))
    return Repetition(
        import_ns=0,
        load_ns=0,
        first_ns=nanoseconds,
        warmup_samples=WARMUPS,
        samples_ns=(nanoseconds,),
        peak_rss_bytes=0,
        base_rss_bytes=0,
        inferences=count,
    )


def _own_target(board: TextBoard) -> str:
    """The profile that edgekit's own firmware names; empty for another maker's."""
    name = board.name.removeprefix("edgekit ")
    return name if name != board.name and name in catalog.targets().names() else ""


def _environment(board: TextBoard, target: str) -> Environment:
    profile = catalog.targets().load(target) if target else None
    return Environment(
        machine=profile.arch if profile else "unknown",
        system="bare metal",
        libc="",
        python="",
        board=board.name,
        cpu=profile.cpu.model if profile else "",
        cpu_features=(),
        cores=1,
        memory_bytes=profile.memory_bytes if profile else 0,
        kind="emulated" if profile and profile.evidence == "emulated" else "physical",
        packages={"firmware": board.profile or "unknown"},
        before=CpuState(),
        after=CpuState(),
    )
