"""A run on a board with edgekit's firmware: golden vectors, inferences, layers, and a labelled set."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.errors import MeasurementError, UsageError
from edgekit.measure import COUNTED
from edgekit.protocols import Progress, Tensors
from edgekit.run import (
    CpuState,
    Environment,
    Firmware,
    Kind,
    OperatorTime,
    Repetition,
    Run,
    Schedule,
    Stopped,
)
from edgekit.stats import summarize
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.record import mismatch, new_run, repeat
from edgekit_bridge.serial.accuracy import evaluate, golden_on
from edgekit_bridge.serial.board import PROTOCOL_VERSION, Board
from edgekit_bridge.serial.counting import Ticks, read_ticks
from edgekit_bridge.serial.stream import ByteStream
from edgekit_bridge.serial.tensors import match, real, stored

if TYPE_CHECKING:
    from edgekit.dataset import DataSet
    from edgekit.protocols import Array

_FIRST_S: Final = 120.0
"""The longest that a first inference may take."""

_REQUEST_S: Final = 0.5
"""How long one request may keep a board busy, about: many inferences travel in one answer."""

_LINE_S: Final = 0.3
"""How long very short inferences are asked for at least: the line tells of them slower than they are done."""

_LAPS_BY_LAYER: Final = 5


class _Measured:
    """The artifact on the board: real numbers in, real numbers out, ticks as the run's figures."""

    def __init__(self, board: Board, artifact: Artifact) -> None:
        signature = artifact.manifest.signature
        self.board = board
        self.ticks: Ticks = read_ticks(board.facts)
        self._specs = signature
        self._inputs = match(signature.inputs, board.inputs)
        self._outputs = match(signature.outputs, board.outputs)
        self._each_s = 0.0
        # By this machine's clock, the line's time included: an emulated board's own clock is another.

    def write(self, sample: Tensors) -> None:
        """Give all inputs."""
        for spec, place in zip(self._specs.inputs, self._inputs, strict=True):
            self.board.write(
                place, stored(spec, self.board.inputs[place], on_device.given(dict(sample), msgspec.to_builtins(spec)))
            )

    def infer(self, count: int = 1, *, by_layer: bool = False) -> tuple[int, ...]:
        """Run it; ticks of each inference."""
        expected_s = self._each_s * count
        patience_s = max(5.0, 10 * expected_s) if expected_s else _FIRST_S
        began = time.monotonic()
        found = self.board.infer(count, patience_s=patience_s, expected_s=expected_s, by_layer=by_layer)
        self._each_s = (time.monotonic() - began) / count
        return found

    def laps(self) -> int:
        """How many inferences one request holds."""
        return max(1, min(self.board.most_laps, int(_REQUEST_S / self._each_s))) if self._each_s else 1

    def run(self, sample: Tensors) -> "dict[str, Array]":
        """One inference, outputs by name."""
        self.write(sample)
        self.infer()
        return {
            spec.name: real(spec, self.board.outputs[place], self.board.read(place))
            for spec, place in zip(self._specs.outputs, self._outputs, strict=True)
        }


def measure_own(
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
    speed: int,
) -> Run:
    """See `edgekit.protocols.BoardHarness`; `speed` is the baud rate to go on with, 0 for the one there is.

    Raises:
        MeasurementError: Nothing answers, or the firmware holds another model.
        CheckFailed: The golden vectors differ on the board, and `check_golden` is set.
    """
    with progress.step(f"meet the firmware at {device}"):
        board = Board(stream)
        if speed:
            board.set_baud(speed)
    _check_model(board, artifact, device)
    measured = _Measured(board, artifact)
    schedule = _fitted(schedule, measured.ticks, board)
    golden = golden_on(measured.run, artifact, progress)
    if check_golden and not golden.passed:
        raise mismatch(artifact, golden, device)
    _write_first(measured, artifact)
    found, stopped = _repeat(measured, schedule, artifact, progress)
    layers = _layers(measured) if operators else ()
    accuracy = evaluate(measured.run, artifact, evaluation, progress) if evaluation else None
    return new_run(
        artifact,
        device,
        target=target or board.facts.board,
        schedule=schedule,
        runtime=f"compiled C ({board.facts.compiler or 'unknown compiler'})",
        delegate="",
        method=_method(measured),
        golden=golden,
        repetitions=tuple(found),
        environment=_environment(board, target or board.facts.board),
        stopped=stopped,
        operators=layers,
        firmware=_firmware(board),
        evaluation=accuracy,
    )


def _check_model(board: Board, artifact: Artifact, device: DeviceUrl) -> None:
    """Refuse firmware that holds something else.

    Raises:
        MeasurementError: With both names.
    """
    model = board.model
    if model.artifact_id != artifact.id:
        raise MeasurementError(
            f"The firmware at {device} holds {model.name} ({model.artifact_id[:12] or 'of no artifact'}), not "
            f"{artifact.path.name} ({artifact.id[:12]}).",
            hint=f"edgekit firmware build {artifact.path} --target {board.facts.board} -o firmware, and flash that.",
        )


def _fitted(schedule: Schedule, ticks: Ticks, board: Board) -> Schedule:
    """The schedule as it is for a board: where instructions are counted a few are enough, they are all alike.

    Raises:
        UsageError: Instructions are asked for and there are none to be had.
    """
    if ticks.clock == "instructions":
        return msgspec.structs.replace(
            schedule,
            clock="instructions",
            min_time_s=min(schedule.min_time_s, COUNTED.min_time_s),
            warmup_s=min(schedule.warmup_s, COUNTED.warmup_s),
        )
    if schedule.clock == "instructions":
        why = "QEMU was started without -icount shift=0" if board.facts.emulated else "it is a real board"
        raise UsageError(f"{board.facts.board} counts no instructions: {why}.", hint="Leave --clock out.")
    return schedule


def _write_first(measured: _Measured, artifact: Artifact) -> None:
    """The first golden vector's inputs, as on every other device."""
    from edgekit.golden import load_golden

    measured.write(load_golden(artifact.golden)[0][0])


def _repeat(
    measured: _Measured, schedule: Schedule, artifact: Artifact, progress: Progress
) -> tuple[list[Repetition], Stopped]:
    with progress.step(f"measure {artifact.manifest.name} on the board", total=float(schedule.repeat)) as step:

        def once(counted: bool) -> Repetition:
            found = _repetition(measured, schedule)
            step.advance(float(counted))
            return found

        return repeat(schedule, once, _precise)


def _precise(found: Sequence[Repetition], goal: float) -> bool:
    precision = summarize([item.samples_ns for item in found]).precision
    return precision is not None and precision <= goal


def _repetition(measured: _Measured, schedule: Schedule) -> Repetition:
    board, figure = measured.board, measured.ticks.figure
    first = measured.infer()[0]
    warmups = len(_steady(measured, first, 0, schedule.warmup_s, schedule.max_samples))
    samples = _steady(measured, 0, schedule.min_samples, schedule.min_time_s, schedule.max_samples)
    stack = board.stack_bytes()
    return Repetition(
        import_ns=0,
        load_ns=0,
        first_ns=figure(first),
        warmup_samples=warmups,
        samples_ns=tuple(figure(item) for item in samples),
        peak_rss_bytes=board.facts.image_ram_bytes + stack,
        base_rss_bytes=max(0, board.facts.image_ram_bytes - board.model.arena_bytes),
        rss_separable=True,
    )


def _steady(measured: _Measured, spent: int, least: int, least_s: float, most: int) -> list[int]:
    """Ticks of one inference after the other: so many and so long, or until the line took too long to tell."""
    samples: list[int] = []
    hz = measured.board.facts.ticks_hz
    deadline = time.monotonic() + max(_LINE_S, 3 * least_s)
    while len(samples) < most and (len(samples) < least or (spent + sum(samples)) / hz < least_s):
        samples += measured.infer(min(measured.laps(), most - len(samples)))
        if len(samples) >= least and time.monotonic() > deadline:
            break
    return samples


def _layers(measured: _Measured) -> tuple[OperatorTime, ...]:
    count = min(_LAPS_BY_LAYER, measured.board.most_laps)
    measured.infer(count, by_layer=True)
    return tuple(
        OperatorTime(name=f"{layer.op} {layer.name}", calls=1, self_ns=measured.ticks.figure(round(ticks / count)))
        for layer, ticks in zip(measured.board.layers, measured.board.layer_ticks(), strict=True)
    )


def _method(measured: _Measured) -> str:
    facts, repeats = measured.board.facts, measured.board.keeps_inputs
    what = f"{facts.clock} before and after edgekit_invoke alone, inputs in place"
    if measured.ticks.clock == "instructions":
        what = f"instructions by QEMU's -icount, read from {what}"
    elif facts.emulated:
        what = f"{what}; QEMU without -icount, so that its clock is this machine's"
    return what if repeats else f"{what}; repeated on what the inference before left of them"


def _environment(board: Board, target: str) -> Environment:
    facts = board.facts
    profile = catalog.targets().load(target) if target in catalog.targets().names() else None
    here = facts.board == "posix"
    return Environment(
        machine=profile.arch if profile else facts.cpu,
        system="a program of this machine's" if here else "bare metal",
        libc="",
        python="",
        board=facts.board,
        cpu=on_device.cpu_model() if here else facts.cpu,
        cpu_features=(),
        cores=1,
        memory_bytes=profile.memory_bytes if profile else 0,
        kind=_kind(board),
        packages={"edgekit firmware": facts.harness, "compiler": facts.compiler},
        before=CpuState(),
        after=CpuState(),
    )


def _kind(board: Board) -> "Kind":
    if board.facts.emulated:
        return "emulated"
    return msgspec.convert(on_device.machine_kind(), Kind) if board.facts.board == "posix" else "physical"


def _firmware(board: Board) -> Firmware:
    facts, model = board.facts, board.model
    return Firmware(
        board=facts.board,
        protocol=f"edgekit {PROTOCOL_VERSION}",
        clock=facts.clock,
        clock_hz=facts.ticks_hz,
        compiler=facts.compiler,
        flash_bytes=facts.image_flash_bytes,
        ram_bytes=facts.image_ram_bytes,
        stack_bytes=board.stack_bytes(),
        arena_bytes=model.arena_bytes,
        weight_bytes=model.weight_bytes,
    )
