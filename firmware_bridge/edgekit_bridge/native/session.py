"""A program on a device, with what it reads and writes there; and the golden vectors run by it."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from edgekit.artifact import Artifact
from edgekit.device import DeviceUrl
from edgekit.device_facts import DeviceFacts
from edgekit.errors import MeasurementError
from edgekit.progress import SilentProgress
from edgekit.protocols import Deployment, Link, Progress
from edgekit.run import GoldenCheck, Schedule
from edgekit_bridge.harness.record import golden_check, log_file
from edgekit_bridge.native.awake import lasting
from edgekit_bridge.native.programs import NOT_STARTED, platform_of
from edgekit_bridge.native.tool import Job, Tool, complaint

_CALL_S: Final = 60.0
START_S: Final = 180.0
"""What starting a program and loading a model may take."""

INFERENCE_S: Final = 20.0
"""The slowest inference that is waited for."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps of one measurement share."""

    tool: Tool
    link: Link
    deployment: Deployment
    schedule: Schedule
    facts: DeviceFacts
    program: PurePosixPath
    folder: PurePosixPath
    here: Path
    progress: Progress
    device: DeviceUrl

    @property
    def artifact(self) -> Artifact:
        """What is measured."""
        return self.deployment.artifact

    def job(self, inputs: Sequence[str] = (), schedule: Schedule | None = None) -> Job:
        """A call of the program."""
        return Job(
            program=str(self.program),
            model=str(self.deployment.folder / self.artifact.manifest.model),
            folder=str(self.folder),
            manifest=self.artifact.manifest,
            schedule=schedule or self.schedule,
            inputs=inputs,
        )

    def run(self, argv: Sequence[str], *, timeout_s: float) -> str:
        """Run the program on its cores; gives what it wrote.

        Raises:
            MeasurementError: It failed.
        """
        words = lasting(self.link, [*_cores(self.schedule.affinity), *argv], timeout_s + _CALL_S)
        done = self.link.run(words, timeout_s=timeout_s)
        output = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
        if done.returncode:
            log = log_file(self.tool.name)
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(output, "utf-8")
            what = NOT_STARTED.get(done.returncode, f"ended with {done.returncode}")
            raise MeasurementError(
                f"{self.tool.name} on {self.device} {what}: {complaint(output)}",
                hint=f"Is it built for {platform_of(self.facts)}? See the log.",
                log=log,
            )
        return output


def run_golden(session: Session) -> GoldenCheck | None:
    """Each vector in a process of its own; None where the program cannot be given inputs."""
    from edgekit.golden import load_golden

    artifact, tool = session.artifact, session.tool
    output = session.folder / "outputs.bin"
    if tool.golden(session.job(), str(output)) is None:
        return None
    vectors, expected = load_golden(artifact.golden)
    model = artifact.path / artifact.manifest.model
    got: list[dict[str, Any]] = []
    with session.progress.step(f"check {artifact.manifest.name} on the device", total=float(len(expected))) as step:
        for values in vectors:
            argv = tool.golden(
                session.job(_send(session, tool.raw_inputs(model, artifact.manifest, values))), str(output)
            )
            session.link.run(["rm", "-f", str(output)], timeout_s=_CALL_S)
            said = session.run(argv or [], timeout_s=START_S + INFERENCE_S)
            got.append(tool.outputs(model, artifact.manifest, _fetch(session, output, said)))
            step.advance(1)
    return golden_check(artifact, expected, got)


def first_inputs(session: Session) -> list[str]:
    """The first golden vector's inputs there, as on every other device; none where the program takes none."""
    from edgekit.golden import load_golden

    artifact, tool = session.artifact, session.tool
    if tool.golden(session.job(), "") is None:
        return []
    vectors, _ = load_golden(artifact.golden)
    return _send(session, tool.raw_inputs(artifact.path / artifact.manifest.model, artifact.manifest, vectors[0]))


def _send(session: Session, inputs: Sequence[bytes]) -> list[str]:
    places = []
    for place, data in enumerate(inputs):
        local = session.here / f"input{place}.bin"
        local.write_bytes(data)
        session.link.push(local, session.folder / local.name, SilentProgress())
        places.append(str(session.folder / local.name))
    return places


def _fetch(session: Session, output: PurePosixPath, said: str) -> bytes:
    local = session.here / output.name
    if session.link.run(["test", "-e", str(output)], timeout_s=_CALL_S).returncode:
        raise MeasurementError(
            f"{session.tool.name} wrote no outputs: {complaint(said)}",
            hint="Is it old? --output_filepath came in 2022. Measure without the check: --no-check",
        )
    session.link.pull(output, local, SilentProgress())
    return local.read_bytes()


def _cores(affinity: Sequence[int]) -> list[str]:
    """The command that keeps a program on some cores: toybox's taskset takes a mask in hexadecimal."""
    return ["taskset", f"{sum(1 << core for core in affinity):x}"] if affinity else []
