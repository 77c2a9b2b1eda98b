"""TensorRT: the device's own trtexec builds an engine of an ONNX artifact there, checks it and measures it.

`trtexec.py` says what it is told and how it answers. It is found on the login's PATH, where JetPack puts it, or where
the URL option `trtexec=/path` says. The engine stays in edgekit's folder there, for this artifact and this TensorRT.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any, Final

import msgspec

from edgekit.artifact import Artifact, Manifest
from edgekit.device import DeviceUrl
from edgekit.errors import MeasurementError, UsageError
from edgekit.protocols import Deployment, Harness, Link, Progress
from edgekit.run import Environment, GoldenCheck, OperatorTime, Repetition, Run, Schedule, Stopped
from edgekit.stats import summarize
from edgekit.target import TargetProfile
from edgekit_bridge.harness import on_device, trtexec
from edgekit_bridge.harness.cooling import cool_down
from edgekit_bridge.harness.exchange import Exchange
from edgekit_bridge.harness.one_model import OneModel
from edgekit_bridge.harness.record import golden_check, log_file, mismatch, new_run, repeat
from edgekit_bridge.harness.stage import stage_artifact

_CALL_S: Final = 60.0
_START_S: Final = 300.0
"""What loading CUDA and an engine may take on a Jetson Nano."""

_BUILD_S: Final = 3600.0
"""What building an engine may take: TensorRT times every kernel it knows on the device itself."""

_INFERENCE_S: Final = 20.0

_FIND: Final = r"""for place; do command -v -- "$place" && exit; done; exit 1"""
"""The first of these that there is."""

_METHOD: Final = (
    "the GPU's compute time of one inference by CUDA events, as trtexec exports it (computeMs); copies to and from the "
    f"GPU are apart; input: the first golden vector; {trtexec.UNTESTED}"
)


class _Program(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness answers to a `program` job."""

    returncode: int
    output: str
    elapsed_ns: int
    peak_rss_bytes: int
    environment: Environment


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps of one measurement share; `folder` is on the device, `here` on this machine."""

    exchange: Exchange
    deployment: Deployment
    tool: trtexec.Tool
    folder: PurePosixPath
    here: Path
    progress: Progress

    @property
    def manifest(self) -> Manifest:
        """What is measured."""
        return self.deployment.artifact.manifest

    @property
    def engine(self) -> PurePosixPath:
        """Where the engine is."""
        return self.folder / "model.engine"

    def run(self, argv: Sequence[str], what: str, *, timeout_s: float, schedule: Schedule | None = None) -> _Program:
        """Run trtexec on the device, under the settings of a schedule.

        Raises:
            MeasurementError: It failed.
        """
        job: dict[str, Any] = {"job_version": on_device.JOB_VERSION, "mode": "program", "format": "onnx", "argv": argv}
        if schedule is not None:
            job["schedule"] = msgspec.to_builtins(schedule)
        done = self.exchange.ask(job, _Program, timeout_s=timeout_s, advance=_unheard)
        if done.returncode:
            log = self.exchange.log
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(done.output)
            raise MeasurementError(
                f"trtexec could not {what}: it ended with {done.returncode}: {trtexec.complaint(done.output)}",
                hint=f"See the log; if the GPU was changed, remove {self.folder} there. What TensorRT cannot run, ONNX "
                "Runtime may: leave --runtime out.",
                log=log,
            )
        return done

    def fetch(self, name: str) -> bytes:
        """What trtexec wrote into its folder."""
        self.exchange.link.pull(self.folder / name, self.here / name, self.progress)
        return (self.here / name).read_bytes()

    def command(self, vector: int) -> list[str]:
        """The command that runs the engine on a golden vector."""
        inputs = self.manifest.signature.inputs
        files = [str(self.folder / _input_name(vector, place)) for place in range(len(inputs))]
        return trtexec.run_argv(self.tool, engine=str(self.engine), inputs=inputs, files=files)


def _unheard(_: float) -> None:
    """How far trtexec is, it does not tell."""


def _input_name(vector: int, place: int) -> str:
    return f"in-{vector}-{place}.bin"


class _TensorRtHarness(OneModel):
    name = "trtexec"

    def stage(self, link: Link, artifact: Artifact, progress: Progress, *, runtime: str = "") -> Deployment:
        """Put the artifact and the harness there.

        Raises:
            UsageError: It is no ONNX artifact.
            DeviceError: The device refused a file.
        """
        _check_artifact(artifact.manifest)
        return stage_artifact(link, artifact, progress, runtime=runtime)

    def check(
        self, link: Link, deployment: Deployment, target: TargetProfile, progress: Progress, *, device: DeviceUrl
    ) -> None:
        """Build an engine if there is none, and run the golden vectors.

        Raises:
            MeasurementError: trtexec is missing, or failed.
            CheckFailed: The golden vectors differ on the device.
        """
        with tempfile.TemporaryDirectory() as here:
            session = _session(link, deployment, target=target, progress=progress, device=device, here=here)
            golden = _golden(session)
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
        """Build an engine if there is none, check the golden vectors, then measure in fresh processes of trtexec.

        Raises:
            UsageError: The schedule asks for what trtexec cannot do.
            MeasurementError: trtexec is missing, or failed.
            CheckFailed: The golden vectors differ on the device, and `check_golden` is set.
        """
        _check_schedule(schedule)
        with tempfile.TemporaryDirectory() as here:
            session = _session(link, deployment, target=target, progress=progress, device=device, here=here)
            golden = _golden(session)
            if check_golden and not golden.passed:
                raise mismatch(deployment.artifact, golden, device)
            slowest = _operators(session, schedule) if operators else ()
            cool_down(link, schedule, progress)
            with progress.step(f"measure {session.manifest.name} with trtexec", float(schedule.repeat)) as step:
                measured, stopped = _repeat(session, schedule, step.advance)
        first, last = measured[0][1], measured[-1][1]
        return new_run(
            deployment.artifact,
            device,
            target=target.name,
            schedule=schedule,
            runtime=session.tool.title,
            delegate=f"TensorRT on the GPU, an engine of {session.manifest.precision}",
            method=_METHOD,
            golden=golden,
            repetitions=tuple(repetition for repetition, _ in measured),
            environment=msgspec.structs.replace(first, after=last.after),
            stopped=stopped,
            operators=slowest,
        )


def _check_artifact(manifest: Manifest) -> None:
    if str(manifest.format) != "onnx":
        raise UsageError(
            f"{manifest.name} is {manifest.format}; trtexec builds engines of ONNX artifacts.",
            hint="Convert with --format onnx.",
        )
    if any(spec.quantization for spec in (*manifest.signature.inputs, *manifest.signature.outputs)):
        raise UsageError(
            f"{manifest.name} has quantized inputs or outputs, which trtexec is not given here.",
            hint="Convert it with float inputs and outputs.",
        )


def _check_schedule(schedule: Schedule) -> None:
    for wrong, what, hint in (
        (schedule.mode not in {"single-stream", "sustained"}, f"{schedule.mode} mode", "single-stream or --sustained"),
        (schedule.threads != 1, f"{schedule.threads} threads", "no --threads: the GPU does the work"),
        (schedule.delegate != "default", "leaving a delegate out", "no --delegate"),
        (schedule.clock != "wall", f"the clock {schedule.clock}", "no --clock"),
    ):
        if wrong:
            raise UsageError(f"trtexec does not do {what}.", hint=f"Use {hint}.")


def _session(
    link: Link, deployment: Deployment, *, target: TargetProfile, progress: Progress, device: DeviceUrl, here: str
) -> _Session:
    """Find trtexec, have its engine built, and put the golden inputs beside it."""
    manifest = deployment.artifact.manifest
    _check_artifact(manifest)
    tool = _find(link, device)
    key = hashlib.sha256(f"{deployment.artifact.id} {tool.title}".encode()).hexdigest()[:32]
    harness = str(deployment.harness)
    session = _Session(
        exchange=Exchange(link=link, harness=harness, target=target, device=device, log=log_file("trtexec")),
        deployment=deployment,
        tool=tool,
        folder=link.home() / "tensorrt" / key,
        here=Path(here),
        progress=progress,
    )
    _build(session)
    _send_inputs(session)
    return session


def _find(link: Link, device: DeviceUrl) -> trtexec.Tool:
    named = device.options.get("trtexec")
    places = [named] if named else trtexec.PLACES
    found = link.run(["sh", "-c", _FIND, "sh", *places], timeout_s=_CALL_S)
    path = found.stdout.decode(errors="replace").strip()
    if found.returncode or not path:
        raise MeasurementError(
            f"There is no trtexec on {device}; looked for {' and '.join(places)}.",
            hint="JetPack brings it (apt install libnvinfer-bin); elsewhere name it: ssh://…?trtexec=/path/to/trtexec",
        )
    told = link.run([path, "--help"], timeout_s=_START_S)
    text = (told.stdout + told.stderr).decode(errors="replace")
    tool = trtexec.read_help(path, text)
    if told.returncode or not tool.known("--loadEngine", "--exportTimes"):
        raise MeasurementError(
            f"{path} on {device} is no trtexec that works: it ended with {told.returncode}: {trtexec.complaint(text)}",
            hint="Run it there by hand: trtexec --help",
        )
    return tool


def _build(session: _Session) -> None:
    """An engine, built beside its place and renamed into it, unless there is one."""
    link, beside = session.exchange.link, session.folder / "model.engine.new"
    argv = trtexec.build_argv(
        session.tool,
        onnx=str(session.deployment.folder / session.manifest.model),
        engine=str(beside),
        precision=session.manifest.precision,
        inputs=session.manifest.signature.inputs,
    )
    if link.run(["test", "-s", str(session.engine)], timeout_s=_CALL_S).returncode == 0:
        return
    link.run(["mkdir", "-p", "--", str(session.folder)], timeout_s=_CALL_S)
    with session.progress.step(f"build a TensorRT engine of {session.manifest.name} there; this takes minutes"):
        session.run(argv, "build an engine", timeout_s=_BUILD_S)
    moved = link.run(["mv", "-f", "--", str(beside), str(session.engine)], timeout_s=_CALL_S)
    if moved.returncode:
        raise MeasurementError(
            f"trtexec wrote no engine at {beside}.", hint="Look at the free space there.", log=session.exchange.log
        )


def _send_inputs(session: _Session) -> None:
    """Every input of every golden vector as trtexec reads them: raw, in the engine's element type."""
    from edgekit.golden import load_golden

    vectors, _ = load_golden(session.deployment.artifact.golden)
    for vector, values in enumerate(vectors):
        for place, spec in enumerate(session.manifest.signature.inputs):
            local = session.here / _input_name(vector, place)
            local.write_bytes(values[spec.name].astype(trtexec.stored_type(session.tool, spec.dtype)).tobytes())
            session.exchange.link.push(local, session.folder / local.name, session.progress)


def _golden(session: _Session) -> GoldenCheck:
    from edgekit.golden import load_golden

    _, expected = load_golden(session.deployment.artifact.golden)
    with session.progress.step(f"check {session.manifest.name} on the device", total=float(len(expected))) as step:
        got = [_outputs(session, vector, step.advance) for vector in range(len(expected))]
    return golden_check(session.deployment.artifact, expected, [_by_source(session, item) for item in got])


def _by_source(session: _Session, found: dict[str, Any]) -> dict[str, Any]:
    """Outputs by the source's names.

    Raises:
        MeasurementError: The engine lacks one.
    """
    names = {spec.name: trtexec.bound(spec) for spec in session.manifest.signature.outputs}
    lacking = [name for name in names.values() if name not in found]
    if lacking:
        raise MeasurementError(f"The engine has no output {lacking[0]!r}; it has {', '.join(found)}.")
    return {name: found[engine_name] for name, engine_name in names.items()}


def _outputs(session: _Session, vector: int, advance: Callable[[float], None]) -> dict[str, Any]:
    argv = [*session.command(vector), *trtexec.once(str(session.folder / "out.json"))]
    session.run(argv, "run the engine", timeout_s=_START_S)
    advance(1)
    return dict(trtexec.read_outputs(session.fetch("out.json")))


def _operators(session: _Session, schedule: Schedule) -> tuple[OperatorTime, ...]:
    """Where the time goes on the GPU by layers of the engine, the slowest first; profiling slows it down."""
    place = session.folder / "profile.json"
    argv = [*session.command(0), f"--iterations={schedule.min_samples}", "--duration=0"]
    session.run(
        [*argv, "--dumpProfile", f"--exportProfile={place}"], "profile the engine", timeout_s=_limit_s(schedule)
    )
    layers = trtexec.read_profile(session.fetch("profile.json"))
    return tuple(
        OperatorTime(name=name, calls=1.0, self_ns=ns) for name, ns in sorted(layers, key=lambda item: -item[1])
    )


def _repeat(
    session: _Session, schedule: Schedule, advance: Callable[[float], None]
) -> tuple[list[tuple[Repetition, Environment]], Stopped]:
    def measure(counted: bool) -> tuple[Repetition, Environment]:
        found = _repetition(session, schedule)
        advance(float(counted))
        return found

    def precise(found: Sequence[tuple[Repetition, Environment]], goal: float) -> bool:
        precision = summarize([item.samples_ns for item, _ in found]).precision
        return precision is not None and precision <= goal

    return repeat(schedule, measure, precise)


def _repetition(session: _Session, schedule: Schedule) -> tuple[Repetition, Environment]:
    argv = [
        *session.command(0),
        *trtexec.timed(
            str(session.folder / "times.json"),
            least=schedule.min_samples,
            least_s=schedule.min_time_s,
            warmup_s=schedule.warmup_s,
        ),
    ]
    done = session.run(argv, "measure the engine", timeout_s=_limit_s(schedule), schedule=schedule)
    times = trtexec.read_times(session.fetch("times.json"))
    steady = [item for item in times if item.start >= 1000 * schedule.warmup_s] or times
    repetition = Repetition(
        import_ns=0,
        load_ns=trtexec.load_ns(done.output),
        first_ns=_ns(times[0]),
        warmup_samples=len(times) - len(steady),
        samples_ns=tuple(_ns(item) for item in steady),
        peak_rss_bytes=done.peak_rss_bytes,
        base_rss_bytes=0,
        settled=_settled(times, 1000 * schedule.warmup_s),
    )
    version = ".".join(map(str, session.tool.version))
    return repetition, msgspec.structs.replace(done.environment, packages={"tensorrt": version})


def _settled(times: Sequence[trtexec.Timing], warmup_ms: float) -> bool:
    """Whether the two halves of warm-up have medians as close as the harness asks for in its own warm-up."""
    middle, end = times[0].start + warmup_ms / 2, times[0].start + warmup_ms
    halves = [
        [item.compute for item in times if item.start < middle],
        [item.compute for item in times if middle <= item.start < end],
    ]
    if not all(halves):
        return False
    first, second = (median(half) for half in halves)
    return abs(second - first) <= on_device.STEADY_TOLERANCE * first


def _ns(timing: trtexec.Timing) -> int:
    return round(1e6 * timing.compute)


def _limit_s(schedule: Schedule) -> float:
    return _START_S + schedule.warmup_s + max(2 * schedule.min_time_s, _INFERENCE_S * schedule.min_samples)


HARNESS: Harness = _TensorRtHarness()
"""For `--runtime trtexec`."""
