"""The harness for devices that can run programs: a fresh process of `on_device.py` for every repetition."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

import msgspec

from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.protocols import Deployment, Harness, Link, Progress
from edgekit.run import Environment, GoldenCheck, OperatorTime, Repetition, Run, Schedule, Stopped
from edgekit.stats import paired_ratio, summarize
from edgekit.target import TargetProfile
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.cooling import cool_down
from edgekit_bridge.harness.exchange import Exchange
from edgekit_bridge.harness.record import log_file, mismatch, new_run, repeat, run_id
from edgekit_bridge.harness.stage import stage_artifact
from edgekit_bridge.provision.needs import runtimes_for

_START_S: Final = 180.0
"""What starting Python, importing the runtime and loading may take: torch takes 17 s on an emulated Pi 4."""

T = TypeVar("T")
M = TypeVar("M", "_Measured", "_MeasuredPair")

_INFERENCE_S: Final = 20.0
"""The slowest inference that is waited for: `min_samples` of them must fit into the time limit."""


def _unheard(_: float) -> None:
    """Progress of what no total is known of."""


class _Golden(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness answers to a `golden` job."""

    relative_rms: float | None
    passed: bool
    vectors: int


class _Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness answers to a `measure` job."""

    repetition: Repetition
    environment: Environment
    runtime: str
    delegate: str
    method: str


class _MeasuredPair(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness answers to a `pair` job."""

    pair: tuple[_Measured, _Measured]


class _Operators(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness answers to an `operators` job."""

    operators: tuple[OperatorTime, ...]


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of one command share."""

    exchange: Exchange
    target: TargetProfile
    schedule: Schedule
    progress: Progress
    device: DeviceUrl
    check_golden: bool


class _ProcessHarness:
    def stage(self, link: Link, artifact: Artifact, progress: Progress, *, runtime: str = "") -> Deployment:
        """Put the artifact and the harness there, verified; nothing travels that is there already.

        Raises:
            DeviceError: The device refused a file.
        """
        return stage_artifact(link, artifact, progress, runtime=runtime)

    def check(
        self, link: Link, deployment: Deployment, target: TargetProfile, progress: Progress, *, device: DeviceUrl
    ) -> None:
        """Load the artifact in a process of its own there and run its golden vectors.

        Raises:
            MeasurementError: The harness did not complete, or its version is another.
            CheckFailed: The golden vectors differ on the device.
        """
        session = _session(
            link, deployment, target, schedule=Schedule(), progress=progress, device=device, check_golden=True
        )
        _golden(session, deployment, _job(session, deployment))

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
        """Check the golden vectors in a process of their own, then measure in fresh ones as the schedule says.

        Raises:
            MeasurementError: The harness did not complete, or its version is another.
            CheckFailed: The golden vectors differ on the device, and `check_golden` is set.
        """
        session = _session(
            link,
            deployment,
            target,
            schedule=schedule,
            progress=progress,
            device=device,
            check_golden=check_golden,
        )
        job = _job(session, deployment)
        golden = _golden(session, deployment, job)
        slowest = _operators(session, job) if operators else ()
        cool_down(link, schedule, progress)
        title = f"measure {deployment.artifact.manifest.name}"
        measured, stopped = _repeat(session, title, job | {"mode": "measure"}, _Measured)
        run = _run(session, deployment, golden, measured, stopped=stopped)
        return msgspec.structs.replace(run, operators=slowest)

    def measure_pair(
        self,
        link: Link,
        deployments: tuple[Deployment, Deployment],
        target: TargetProfile,
        schedule: Schedule,
        progress: Progress,
        *,
        device: DeviceUrl,
        check_golden: bool = True,
        slowed: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Run, Run]:
        """Measure two artifacts that take turns in the same processes.

        Raises:
            MeasurementError: The harness did not complete, or its version is another.
            CheckFailed: The golden vectors differ on the device, and `check_golden` is set.
        """
        session = _session(
            link,
            deployments[0],
            target,
            schedule=schedule,
            progress=progress,
            device=device,
            check_golden=check_golden,
        )
        jobs = [_job(session, deployment) for deployment in deployments]
        golden = [_golden(session, *item) for item in zip(deployments, jobs, strict=True)]
        sides = [job | {"slowed": share} for job, share in zip(jobs, slowed, strict=True)]
        cool_down(link, schedule, progress)
        names = " and ".join(item.artifact.manifest.name for item in deployments)
        job = jobs[0] | {"mode": "pair", "pair": sides}
        measured, stopped = _repeat(session, f"measure {names} in turns", job, _MeasuredPair)
        pair = run_id(datetime.now(UTC))
        first, second = (
            _run(
                session,
                deployments[side],
                golden[side],
                [item.pair[side] for item in measured],
                stopped=stopped,
                pair=pair,
            )
            for side in (0, 1)
        )
        return first, second


def _session(
    link: Link,
    deployment: Deployment,
    target: TargetProfile,
    *,
    schedule: Schedule,
    progress: Progress,
    device: DeviceUrl,
    check_golden: bool,
) -> _Session:
    harness = str(deployment.harness)
    return _Session(
        exchange=Exchange(link=link, harness=harness, target=target, device=device, log=log_file("harness")),
        target=target,
        schedule=schedule,
        progress=progress,
        device=device,
        check_golden=check_golden,
    )


def _run(
    session: _Session,
    deployment: Deployment,
    golden: GoldenCheck,
    measured: Sequence[_Measured],
    *,
    stopped: Stopped,
    pair: str = "",
) -> Run:
    return new_run(
        deployment.artifact,
        session.device,
        target=session.target.name,
        schedule=session.schedule,
        runtime=measured[0].runtime,
        delegate=measured[0].delegate,
        method=measured[0].method,
        golden=golden,
        repetitions=tuple(item.repetition for item in measured),
        environment=msgspec.structs.replace(measured[0].environment, after=measured[-1].environment.after),
        pair=pair,
        stopped=stopped,
    )


def _job(session: _Session, deployment: Deployment) -> dict[str, Any]:
    """The job but for its mode."""
    target, schedule, link = session.target, session.schedule, session.exchange.link
    artifact = deployment.artifact
    manifest = artifact.manifest
    return {
        "job_version": on_device.JOB_VERSION,
        "format": manifest.format,
        "model": str(deployment.folder / manifest.model),
        "golden": str(deployment.folder / artifact.golden.name),
        "inputs": msgspec.to_builtins(manifest.signature.inputs),
        "outputs": msgspec.to_builtins(manifest.signature.outputs),
        "paths": [str(path) for path in _paths(link, manifest.format, deployment.runtime)],
        "runtime": deployment.runtime,
        "engine": _engine(artifact, target),
        "threads": schedule.threads,
        "max_error": manifest.parity.max_error,
        "schedule": msgspec.to_builtins(schedule),
    }


def _paths(link: Link, format_: str, runtime: str) -> Sequence[PurePosixPath]:
    """Where runtimes of edgekit's own would be, best first."""
    names = [runtime] if runtime else [need.name for need in runtimes_for(format_)]
    return [link.home() / "runtimes" / name / "current" for name in names]


def _engine(artifact: Artifact, target: TargetProfile) -> str:
    """The quantized engine that the artifact was made for, else the device's; only quantized TorchScript has one."""
    if artifact.manifest.format != "torchscript" or artifact.manifest.quantized is None:
        return artifact.manifest.plan.engine
    runtime = target.runtime_for("torchscript")
    return artifact.manifest.plan.engine or (runtime.engine if runtime else "")


def _golden(session: _Session, deployment: Deployment, job: dict[str, Any]) -> GoldenCheck:
    artifact = deployment.artifact
    parity = artifact.manifest.parity
    with session.progress.step(f"check {artifact.manifest.name} on the device", total=1.0) as step:
        told = session.exchange.ask(
            job | {"mode": "golden"},
            _Golden,
            timeout_s=_START_S + _INFERENCE_S * parity.vectors,
            advance=step.advance,
        )
    golden = GoldenCheck(
        passed=told.passed, relative_rms=told.relative_rms, max_error=parity.max_error, vectors=told.vectors
    )
    if session.check_golden and not golden.passed:
        raise mismatch(artifact, golden, session.device)
    return golden


def _operators(session: _Session, job: dict[str, Any]) -> tuple[OperatorTime, ...]:
    """Where the time goes, the slowest first; asked before the long work, since not every runtime can tell."""
    found = _ask(session, job | {"mode": "operators"}, _Operators).operators
    return tuple(sorted(found, key=lambda item: -item.self_ns))


def _repeat(session: _Session, title: str, job: dict[str, Any], answer: type[M]) -> tuple[list[M], Stopped]:
    """Fresh processes: `repeat` of them, and with a precision goal as many more as it takes or the budget allows."""
    schedule = session.schedule
    with session.progress.step(title, total=float(schedule.repeat)) as step:
        return repeat(
            schedule, lambda counted: _ask(session, job, answer, step.advance if counted else _unheard), _reached
        )


def _reached(measured: Sequence[_Measured | _MeasuredPair], goal: float) -> bool:
    if isinstance(measured[0], _Measured):
        samples = [item.repetition.samples_ns for item in measured if isinstance(item, _Measured)]
        precision = summarize(samples).precision
        return precision is not None and precision <= goal
    pairs = [item.pair for item in measured if isinstance(item, _MeasuredPair)]
    found = paired_ratio(*([pair[side].repetition.samples_ns for pair in pairs] for side in (0, 1)))
    return found is not None and max(found.high / found.value, found.value / found.low) - 1 <= goal


def _ask(session: _Session, job: dict[str, Any], answer: type[T], advance: Callable[[float], None] = _unheard) -> T:
    schedule = session.schedule
    sides = len(job.get("pair", [job]))
    samples_s = max((_INFERENCE_S + schedule.period_s) * schedule.min_samples, 2 * schedule.min_time_s)
    timeout_s = _START_S + sides * (on_device.WARMUP_LIMIT * schedule.warmup_s + samples_s)
    return session.exchange.ask(job, answer, timeout_s=timeout_s, advance=advance)


HARNESS: Harness = _ProcessHarness()
