"""The harness for devices that can run programs: a fresh process of `on_device.py` for every repetition."""

import secrets
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from edgekit import __version__
from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.errors import CheckFailed
from edgekit.paths import cache_folder
from edgekit.protocols import Deployment, Harness, Link, Progress
from edgekit.run import RUN_VERSION, ArtifactFacts, Environment, GoldenCheck, Repetition, Run, Schedule
from edgekit.target import TargetProfile
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.exchange import Exchange
from edgekit_bridge.harness.stage import stage_artifact

_START_S: Final = 180.0
"""What starting Python, importing the runtime and loading may take: torch takes 17 s on an emulated Pi 4."""

_INFERENCE_S: Final = 20.0
"""The slowest inference that is waited for: `min_samples` of them must fit into the time limit."""


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


class _ProcessHarness:
    def stage(self, link: Link, artifact: Artifact, target: TargetProfile, progress: Progress) -> Deployment:  # noqa: ARG002 - the protocol's
        """Put the artifact and the harness there, verified; nothing travels that is there already.

        Raises:
            DeviceError: The device refused a file.
        """
        return stage_artifact(link, artifact, progress)

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
    ) -> Run:
        """Check the golden vectors in a process of their own, then measure in `schedule.repeat` fresh ones.

        Raises:
            MeasurementError: The harness did not complete, or its version is another.
            CheckFailed: The golden vectors differ on the device, and `check_golden` is set.
        """
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z-{secrets.token_hex(4)}"
        log = cache_folder() / "logs" / f"harness-{run_id}.log"
        exchange = Exchange(link=link, harness=str(deployment.harness), target=target, log=log)
        job = _job(deployment, target, schedule)
        golden = _check_golden(exchange, job, deployment.artifact, progress)
        if check_golden and not golden.passed:
            raise _mismatch(deployment.artifact, golden, device)
        measured = _measure(exchange, job, deployment.artifact, schedule, progress)
        return Run(
            run_version=RUN_VERSION,
            id=run_id,
            created=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            edgekit=__version__,
            harness=on_device.HARNESS_VERSION,
            device=str(device),
            target=target.name,
            artifact=artifact_facts(deployment.artifact),
            schedule=schedule,
            runtime=measured[0].runtime,
            delegate=measured[0].delegate,
            method=measured[0].method,
            golden=golden,
            repetitions=tuple(item.repetition for item in measured),
            environment=msgspec.structs.replace(measured[0].environment, after=measured[-1].environment.after),
        )


def artifact_facts(artifact: Artifact) -> ArtifactFacts:
    """What a run keeps of its artifact."""
    manifest = artifact.manifest
    accuracy = manifest.parity.accuracy
    return ArtifactFacts(
        id=artifact.id,
        name=manifest.name,
        format=manifest.format,
        precision=manifest.precision,
        source=manifest.source.name,
        model_bytes=manifest.model_bytes,
        relative_rms=manifest.parity.worst.relative_rms,
        accuracy=accuracy.artifact if accuracy else None,
        source_accuracy=accuracy.source if accuracy else None,
        evaluation_samples=accuracy.samples if accuracy else 0,
    )


def _job(deployment: Deployment, target: TargetProfile, schedule: Schedule) -> dict[str, Any]:
    """The job but for its mode."""
    artifact = deployment.artifact
    manifest = artifact.manifest
    return {
        "job_version": on_device.JOB_VERSION,
        "format": manifest.format,
        "model": str(deployment.folder / manifest.model),
        "golden": str(deployment.folder / artifact.golden.name),
        "inputs": msgspec.to_builtins(manifest.signature.inputs),
        "outputs": msgspec.to_builtins(manifest.signature.outputs),
        "engine": _engine(artifact, target),
        "threads": schedule.threads,
        "max_error": manifest.parity.max_error,
        "schedule": msgspec.to_builtins(schedule),
    }


def _engine(artifact: Artifact, target: TargetProfile) -> str:
    """The quantized engine that the artifact was made for, else the device's; only quantized TorchScript has one."""
    if artifact.manifest.format != "torchscript" or artifact.manifest.quantized is None:
        return artifact.manifest.plan.engine
    runtime = target.runtime_for("torchscript")
    return artifact.manifest.plan.engine or (runtime.engine if runtime else "")


def _check_golden(exchange: Exchange, job: dict[str, Any], artifact: Artifact, progress: Progress) -> GoldenCheck:
    parity = artifact.manifest.parity
    with progress.step(f"check {artifact.manifest.name} on the device", total=1.0) as step:
        told = exchange.ask(
            job | {"mode": "golden"},
            _Golden,
            timeout_s=_START_S + _INFERENCE_S * parity.vectors,
            advance=step.advance,
        )
    return GoldenCheck(
        passed=told.passed, relative_rms=told.relative_rms, max_error=parity.max_error, vectors=told.vectors
    )


def _mismatch(artifact: Artifact, golden: GoldenCheck, device: DeviceUrl) -> CheckFailed:
    found = "is not a number or has another shape" if golden.relative_rms is None else f"is {golden.relative_rms:.3g}"
    here = artifact.manifest.parity.worst.relative_rms
    return CheckFailed(
        f"{artifact.path.name} gives other outputs on {device} than its source: the relative RMS error {found}, "
        f"at most {golden.max_error:g} is allowed (it was {here:.3g} where it was converted).",
        hint="The device's runtime may be too old for this model: try another version of it, or another precision. "
        "Measure all the same with --no-check.",
    )


def _measure(
    exchange: Exchange, job: dict[str, Any], artifact: Artifact, schedule: Schedule, progress: Progress
) -> list[_Measured]:
    samples_s = max(_INFERENCE_S * schedule.min_samples, 2 * schedule.min_time_s)
    timeout_s = _START_S + on_device.WARMUP_LIMIT * schedule.warmup_s + samples_s
    with progress.step(f"measure {artifact.manifest.name}", total=float(schedule.repeat)) as step:
        return [
            exchange.ask(job | {"mode": "measure"}, _Measured, timeout_s=timeout_s, advance=step.advance)
            for _ in range(schedule.repeat)
        ]


HARNESS: Harness = _ProcessHarness()
