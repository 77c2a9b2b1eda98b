"""A harness made of a program of a runtime's makers: for devices without Python, and for whoever asks for it."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.errors import MeasurementError, UsageError
from edgekit.protocols import Deployment, Link, Progress
from edgekit.run import CpuState, Environment, OperatorTime, Repetition, Run, Schedule, Stopped, TracePoint
from edgekit.stats import summarize
from edgekit.target import TargetProfile
from edgekit_bridge.harness.cooling import cool_down
from edgekit_bridge.harness.one_model import OneModel
from edgekit_bridge.harness.record import mismatch, new_run, repeat
from edgekit_bridge.native.awake import awake
from edgekit_bridge.native.programs import PROGRAMS, UNTESTED, platform_of, put
from edgekit_bridge.native.session import INFERENCE_S, START_S, Session, first_inputs, run_golden
from edgekit_bridge.native.tool import Reading, Tool
from edgekit_bridge.probe.describe import describe
from edgekit_bridge.probe.state import moving_state, warmth
from edgekit_bridge.update.deliver import deliver

_CALL_S: Final = 60.0

_TIDY: Final = 'rm -rf "$1"; rmdir "$(dirname "$1")" 2>/dev/null; exit 0'

_WINDOW_S: Final = 5.0
"""How long each process of a sustained measurement works; between two of them the device tells its temperature."""

_LOW_PERCENT: Final = 10.0
"""A battery that is no fuller than this makes Android save power (its battery saver turns on by 15 % at most)."""


class NativeHarness(OneModel):
    """See `edgekit.protocols.Harness`."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self.name = tool.name

    def stage(self, link: Link, artifact: Artifact, progress: Progress, *, runtime: str = "") -> Deployment:
        """Put the artifact there; nothing travels that is there already.

        Raises:
            UsageError: It is of another format than the program executes.
            DeviceError: The device refused a file.
        """
        manifest, program = artifact.manifest, PROGRAMS[self._tool.name]
        if manifest.format != program.format:
            raise UsageError(
                f"{manifest.name} is {manifest.format}; {program.name} executes {program.format}.",
                hint=f"Convert with --format {program.format}.",
            )
        delivered = deliver(link, artifact, progress)
        return Deployment(
            artifact=artifact,
            folder=delivered.folder,
            harness=link.home(),
            runtime=runtime,
            sent_bytes=delivered.sent_bytes,
        )

    def check(
        self, link: Link, deployment: Deployment, target: TargetProfile, progress: Progress, *, device: DeviceUrl
    ) -> None:
        """Run the golden vectors there.

        Raises:
            UsageError: The program cannot be given inputs.
            MeasurementError: There is no such program here, or it failed.
            CheckFailed: The golden vectors differ on the device.
        """
        del target
        with self._session(link, deployment, Schedule(), progress, device) as session:
            golden = run_golden(session)
            if golden is None:
                raise _unchecked(session)
            if not golden.passed:
                raise mismatch(deployment.artifact, golden, device)

    def measure(
        self,
        link: Link,
        deployment: Deployment,
        target: TargetProfile,
        schedule: Schedule,
        progress: Progress,
        *,
        device: DeviceUrl,
        check_golden: bool = True,
        operators: bool = False,
    ) -> Run:
        """Check the golden vectors, then measure in fresh processes of the program.

        Raises:
            UsageError: The schedule asks for what the program cannot do.
            MeasurementError: There is no such program here, or it failed.
            CheckFailed: The golden vectors differ on the device, and `check_golden` is set.
        """
        _check_schedule(self._tool, schedule)
        with self._session(link, deployment, schedule, progress, device) as session:
            _check_battery(moving_state(link), device)
            golden = run_golden(session)
            if check_golden and golden is None:
                raise _unchecked(session)
            if check_golden and golden is not None and not golden.passed:
                raise mismatch(deployment.artifact, golden, device)
            slowest = _operators(session) if operators else ()
            cool_down(link, schedule, progress)
            before = moving_state(link)
            found, stopped = _repeat(session)
        first = found[0][1]
        return new_run(
            deployment.artifact,
            device,
            target=target.name,
            schedule=schedule,
            runtime=f"{self._tool.name} {session.program.parent.name[:12]} ({UNTESTED})",
            delegate=first.delegate,
            method=f"{self._tool.method}{_windows(schedule)}; {UNTESTED}",
            golden=golden,
            repetitions=tuple(repetition for repetition, _ in found),
            environment=_environment(session, before, moving_state(link)),
            stopped=stopped,
            operators=slowest,
        )

    @contextmanager
    def _session(
        self, link: Link, deployment: Deployment, schedule: Schedule, progress: Progress, device: DeviceUrl
    ) -> Iterator[Session]:
        """The program there, a folder for what it reads and writes, and a device that stays awake."""
        facts = describe(link)
        program = put(link, PROGRAMS[self._tool.name], platform_of(facts), progress)
        folder = link.home() / "work" / deployment.artifact.id[:16]
        with tempfile.TemporaryDirectory(prefix="edgekit-native-") as here, awake(link):
            link.run(["mkdir", "-p", str(folder)], timeout_s=_CALL_S)
            try:
                yield Session(
                    tool=self._tool,
                    link=link,
                    deployment=deployment,
                    schedule=schedule,
                    facts=facts,
                    program=program,
                    folder=folder,
                    here=Path(here),
                    progress=progress,
                    device=device,
                )
            finally:
                link.run(["sh", "-c", _TIDY, "sh", str(folder)], timeout_s=_CALL_S)


def _check_schedule(tool: Tool, schedule: Schedule) -> None:
    for wrong, what, hint in (
        (schedule.clock != "wall", f"the clock {schedule.clock}", "no --clock"),
        (bool(schedule.governor), "setting a governor", "no --governor: it takes root on a phone"),
    ):
        if wrong:
            raise UsageError(f"{tool.name} does not do {what}.", hint=f"Use {hint}.")
    tool.check_schedule(schedule)


def _check_battery(state: CpuState, device: DeviceUrl) -> None:
    """Refuse a device that saves power.

    Raises:
        MeasurementError: Its battery is too low.
    """
    if state.battery_percent is not None and state.battery_percent <= _LOW_PERCENT and not state.charging:
        raise MeasurementError(
            f"The battery of {device} is at {state.battery_percent:g} %: Android saves power there.",
            hint="Charge it to 20 % at least, unplug it, and measure then.",
        )


def _unchecked(session: Session) -> UsageError:
    return UsageError(
        f"{session.tool.name} cannot be given inputs: nobody knows whether {session.artifact.manifest.name} computes "
        f"the right thing on {session.device}.",
        hint="Measure all the same with --no-check.",
    )


def _operators(session: Session) -> tuple[OperatorTime, ...]:
    argv = session.tool.profiled(session.job())
    if argv is None:
        raise UsageError(f"{session.tool.name} tells no times of single operators.", hint="Leave --operators out.")
    with session.progress.step(f"profile {session.artifact.manifest.name} there"):
        found = session.tool.read_profile(session.run(argv, timeout_s=_limit_s(session.schedule)))
    return tuple(sorted(found, key=lambda item: -item.self_ns))


def _repeat(session: Session) -> tuple[list[tuple[Repetition, Reading]], Stopped]:
    schedule, inputs = session.schedule, first_inputs(session)
    once = _sustained if schedule.mode == "sustained" else _repetition
    title = f"measure {session.artifact.manifest.name} with {session.tool.name}"
    with session.progress.step(title, total=float(schedule.repeat)) as step:

        def measure(counted: bool) -> tuple[Repetition, Reading]:
            found = once(session, inputs)
            step.advance(float(counted))
            return found

        return repeat(schedule, measure, _precise)


def _precise(found: Sequence[tuple[Repetition, Reading]], goal: float) -> bool:
    precision = summarize([item.samples_ns for item, _ in found]).precision
    return precision is not None and precision <= goal


def _repetition(session: Session, inputs: Sequence[str]) -> tuple[Repetition, Reading]:
    reading = _reading(session, inputs, session.schedule)
    return _as_repetition(reading, [reading]), reading


def _sustained(session: Session, inputs: Sequence[str]) -> tuple[Repetition, Reading]:
    """Process after process until the time is over, each a sample; between them the device tells how warm it is."""
    schedule = session.schedule
    window = msgspec.structs.replace(
        schedule, min_time_s=min(_WINDOW_S, schedule.min_time_s), warmup_s=0.0, min_samples=1
    )
    readings: list[Reading] = []
    trace: list[TracePoint] = []
    began = time.monotonic()
    with session.progress.step(f"keep {session.device} busy", total=schedule.min_time_s) as step:
        while not readings or time.monotonic() - began < schedule.min_time_s:
            readings.append(_reading(session, inputs, window))
            trace.append(_point(session.link, time.monotonic() - began, len(readings)))
            step.advance(window.min_time_s)
    return msgspec.structs.replace(_as_repetition(readings[0], readings), trace=tuple(trace)), readings[0]


def _point(link: Link, seconds: float, samples: int) -> TracePoint:
    state = moving_state(link)
    warm, status = warmth(state), state.thermal_status
    return TracePoint(
        seconds=seconds,
        samples=samples,
        temperature_c=warm[1] if warm else None,
        frequency_hz=max(state.frequency_hz) if state.frequency_hz else None,
        throttled=None if status is None else f"thermal status {status}",
    )


def _reading(session: Session, inputs: Sequence[str], schedule: Schedule) -> Reading:
    output = session.run(session.tool.timed(session.job(inputs, schedule)), timeout_s=_limit_s(schedule))
    return session.tool.read(output, schedule)


def _as_repetition(first: Reading, readings: Sequence[Reading]) -> Repetition:
    def of(name: str, choose: Callable[[list[int]], int]) -> int | None:
        known = [value for item in readings if (value := getattr(item, name)) is not None]
        return choose(known) if known else None

    return Repetition(
        import_ns=0,
        load_ns=first.load_ns,
        first_ns=first.first_ns,
        warmup_samples=first.warmup_samples,
        samples_ns=tuple(sample for item in readings for sample in item.samples_ns),
        peak_rss_bytes=max(item.memory_bytes for item in readings),
        base_rss_bytes=0,
        rss_separable=True,
        inferences=sum(item.inferences for item in readings),
        fastest_ns=of("fastest_ns", min),
        slowest_ns=of("slowest_ns", max),
    )


def _windows(schedule: Schedule) -> str:
    return f"; a sample is a process of {_WINDOW_S:g} s, one after the other" if schedule.mode == "sustained" else ""


def _environment(session: Session, before: CpuState, after: CpuState) -> Environment:
    facts, schedule = session.facts, session.schedule
    return Environment(
        machine=facts.machine,
        system=facts.kernel,
        libc=facts.libc,
        python="",
        board=facts.model,
        cpu=facts.cpu,
        cpu_features=facts.cpu_features,
        cores=len(schedule.affinity) or facts.cores,
        affinity=schedule.affinity,
        memory_bytes=facts.memory_bytes,
        kind=facts.kind,
        packages={session.tool.name: session.program.parent.name},
        before=before,
        after=after,
    )


def _limit_s(schedule: Schedule) -> float:
    samples_s = max((INFERENCE_S + schedule.period_s) * schedule.min_samples, 2 * schedule.min_time_s)
    return START_S + 10 * schedule.warmup_s + samples_s
