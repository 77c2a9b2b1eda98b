"""From what a harness measured to a run: shared by every harness."""

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from edgekit import __version__
from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.errors import CheckFailed
from edgekit.paths import cache_folder
from edgekit.run import RUN_VERSION, ArtifactFacts, GoldenCheck, Run, Schedule, Stopped
from edgekit_bridge.harness import on_device

T = TypeVar("T")


def run_id(now: datetime) -> str:
    """An id that sorts by time."""
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z-{secrets.token_hex(4)}"


def log_file(what: str) -> Path:
    """Where to write what a program said when it failed."""
    return cache_folder() / "logs" / f"{what}-{run_id(datetime.now(UTC))}.log"


def new_run(artifact: Artifact, device: DeviceUrl, **measured: Any) -> Run:
    """A run of now.

    Args:
        artifact: What was measured.
        device: Where.
        measured: The run's other fields.
    """
    now = datetime.now(UTC)
    return Run(
        run_version=RUN_VERSION,
        id=run_id(now),
        created=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        edgekit=__version__,
        harness=on_device.HARNESS_VERSION,
        device=str(device),
        artifact=artifact_facts(artifact),
        **measured,
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


def golden_check(artifact: Artifact, expected: Sequence[Any], got: Sequence[Any]) -> GoldenCheck:
    """Compare outputs by name, a mapping for each golden vector; the worst output decides.

    Args:
        artifact: Whose golden vectors they are.
        expected: What the source gave.
        got: What the device gave.
    """
    errors = [
        on_device.relative_rms([item[spec.name] for item in expected], [item[spec.name] for item in got])
        for spec in artifact.manifest.signature.outputs
    ]
    worst = None if None in errors else max(float(error or 0.0) for error in errors)
    bar = artifact.manifest.parity.max_error
    passed = worst is not None and worst <= bar
    return GoldenCheck(passed=passed, relative_rms=worst, max_error=bar, vectors=len(expected))


def mismatch(artifact: Artifact, golden: GoldenCheck, device: DeviceUrl) -> CheckFailed:
    """Golden vectors that differ on a device, as the error that it is."""
    found = "is not a number or has another shape" if golden.relative_rms is None else f"is {golden.relative_rms:.3g}"
    here = artifact.manifest.parity.worst.relative_rms
    return CheckFailed(
        f"{artifact.path.name} gives other outputs on {device} than its source: the relative RMS error {found}, "
        f"at most {golden.max_error:g} is allowed (it was {here:.3g} where it was converted).",
        hint="The device's runtime may be too old for this model: try another version of it, or another precision. "
        "Measure all the same with --no-check.",
    )


def repeat(
    schedule: Schedule, measure: Callable[[bool], T], precise: Callable[[Sequence[T], float], bool]
) -> tuple[list[T], Stopped]:
    """Fresh processes: `repeat` of them, and with a precision goal as many more as it takes or the budget allows.

    Args:
        schedule: Says how many.
        measure: Measures in one process; told whether it is one of the first `repeat`.
        precise: Whether what was measured is known to the goal.
    """
    started = time.monotonic()
    found = [measure(True) for _ in range(schedule.repeat)]
    while schedule.precision_goal is not None:
        if precise(found, schedule.precision_goal):
            return found, "goal"
        if time.monotonic() - started >= schedule.budget_s:
            return found, "budget"
        found.append(measure(False))
    return found, "repeat"
