"""`edgekit.benchmark`: run an artifact's harness on a device, keep what it measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit import catalog
from edgekit.artifact import Artifact, load_artifact
from edgekit.device import parse_device
from edgekit.errors import UsageError
from edgekit.inventory import Device
from edgekit.progress import SilentProgress
from edgekit.protocols import BoardHarness, Link, Progress, Store
from edgekit.reach import harness_on, one_device, open_alone
from edgekit.run import Run, Schedule

if TYPE_CHECKING:
    from edgekit.dataset import DataSet

PAIRED: Final = Schedule(repeat=16, min_time_s=0.12, warmup_s=0.1)
"""How two artifacts are measured in turns: many short processes, since it is processes that differ.

Of 46 comparisons on a busy machine, resampled: 10 processes find a slowdown of 5 % in 86 %, 12 in 98 %, 16 in 99 %.
"""


COUNTED: Final = Schedule(clock="instructions", min_time_s=0.01, warmup_s=0.005)
"""How instructions are counted: they are the same each time, and a board that counts executes 30 million a second."""


def benchmark(
    artifact: Artifact | Path | str,
    *,
    device: str = "local:",
    target: str = "",
    schedule: Schedule | None = None,
    runtime: str = "",
    check_golden: bool = True,
    operators: bool = False,
    evaluation: Path | str | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Run:
    """Measure an artifact on a device and store the run.

    Args:
        artifact: The artifact, or its folder.
        device: The device's URL, or its name.
        target: The profile of the device; what the inventory says when empty, else `host`.
        schedule: How to measure.
        runtime: The runtime that `edgekit provision` put there, a program such as `benchmark_model`, or `trtexec`, the
            device's own; the best there is when empty.
        check_golden: Whether golden vectors that differ on the device fail the run.
        operators: Whether to ask the runtime where the time goes too.
        evaluation: Inputs with labels that are to be computed on the device (bare boards only).
        store: Where the run is kept; the default store when None.
        progress: Told of each step.

    Raises:
        UsageError: The artifact, the URL, the target or the schedule is wrong.
        DeviceError: The device cannot be reached.
        MeasurementError: The harness did not complete.
        CheckFailed: The golden vectors differ on the device.
    """
    from edgekit.store import open_store

    plan = schedule or Schedule()
    check_schedule(plan)
    loaded = artifact if isinstance(artifact, Artifact) else load_artifact(artifact)
    keeper, shown = store or open_store(), progress or SilentProgress()
    board = catalog.board_harness(parse_device(one_device(device).url).scheme)
    if board:
        if runtime:
            raise UsageError(f"{device} is a bare board: the model is compiled in, there is no runtime {runtime}.")
        data = _labelled(evaluation, loaded) if evaluation else None
        how = {"check_golden": check_golden, "operators": operators}
        run = _on_board(board, loaded, plan, shown, place=one_device(device), target=target, evaluation=data, **how)
        keeper.record(run)
        return run
    if evaluation:
        raise UsageError(
            f"Accuracy is computed on bare boards only, not on {device}.",
            hint="There the artifact's own figure holds: `edgekit convert --eval`.",
        )
    with open_alone(device, target, f"bench {loaded.manifest.name}", shown) as (link, url, profile):
        harness, plan = harness_on(link, runtime, loaded.manifest.format), on_cluster(plan, link)
        deployment = harness.stage(link, loaded, shown, runtime=runtime)
        run = harness.measure(
            link, deployment, profile, plan, shown, device=url, check_golden=check_golden, operators=operators
        )
    keeper.record(run)
    return run


def _on_board(
    board: BoardHarness,
    artifact: Artifact,
    schedule: Schedule,
    progress: Progress,
    *,
    place: Device,
    target: str,
    evaluation: "DataSet | None",
    **how: bool,
) -> Run:
    """Measure on a device that runs no programs; its own harness opens the line."""
    url, profile = parse_device(place.url), target or place.target
    return board.measure(artifact, schedule, progress, device=url, target=profile, evaluation=evaluation, **how)


def _labelled(path: Path | str, artifact: Artifact) -> "DataSet":
    """A set of samples with labels that the model can take.

    Raises:
        UsageError: It is no such set.
    """
    from edgekit.dataset import DataSet

    plan = artifact.manifest.plan
    images = next((ref.images for ref in (plan.evaluation, plan.calibration) if ref and ref.images), None)
    data = DataSet(path, what="evaluation", images=images, layout=plan.layout)
    data.check(artifact.manifest.signature)
    if data.labels is None:
        raise UsageError(f"{path} holds no labels.", hint="Add an array `labels`, one integer a sample.")
    return data


def benchmark_pair(
    base: Artifact | Path | str,
    new: Artifact | Path | str,
    *,
    device: str = "local:",
    target: str = "",
    schedule: Schedule = PAIRED,
    check_golden: bool = True,
    store: Store | None = None,
    progress: Progress | None = None,
    slowed: tuple[float, float] = (0.0, 0.0),
) -> tuple[Run, Run]:
    """Measure two artifacts in turns, in the same processes, and store both runs.

    Whatever the machine does meanwhile meets both alike, so that `edgekit.compare` of the two runs tells
    smaller differences than of runs that were taken apart. Memory and load times of such runs are of both together.

    Args:
        base: The artifact to compare with, or its folder.
        new: The other.
        device: The device's URL, or its name.
        target: The profile of the device; what the inventory says when empty, else `host`.
        schedule: How to measure; `repeat` is the number of processes in which both take turns.
        check_golden: Whether golden vectors that differ on the device fail the runs.
        store: Where the runs are kept; the default store when None.
        progress: Told of each step.
        slowed: Slow each down by this share of its time, to prove that it is found; their runs say so.

    Raises:
        UsageError: The artifacts, the URL, the target or the schedule is wrong.
        DeviceError: The device cannot be reached.
        MeasurementError: The harness did not complete.
        CheckFailed: The golden vectors differ on the device.
    """
    from edgekit.store import open_store

    check_schedule(schedule)
    if schedule.mode != "single-stream":
        raise UsageError(f"Artifacts take turns in single-stream mode only, not {schedule.mode}.")
    pair = [item if isinstance(item, Artifact) else load_artifact(item) for item in (base, new)]
    keeper, shown, harness = store or open_store(), progress or SilentProgress(), catalog.harness()
    with open_alone(device, target, "bench two artifacts in turns", shown) as (link, url, profile):
        schedule = on_cluster(schedule, link)
        first, second = (harness.stage(link, item, shown) for item in pair)
        runs = harness.measure_pair(
            link, (first, second), profile, schedule, shown, device=url, check_golden=check_golden, slowed=slowed
        )
    for run in runs:
        keeper.record(run)
    return runs


def check_schedule(schedule: Schedule) -> None:
    """Refuse a schedule that cannot give a measurement.

    Raises:
        UsageError: With the value that is wrong.
    """
    for name, value, least in (
        ("threads", schedule.threads, 1),
        ("repeat", schedule.repeat, 1),
        ("min-time", schedule.min_time_s, 0),
        ("min-samples", schedule.min_samples, 1),
        ("max-samples", schedule.max_samples, schedule.min_samples),
        ("warm-up", schedule.warmup_s, 0),
        ("period", schedule.period_s, 0),
        ("budget", schedule.budget_s, 0),
    ):
        if not value >= least:
            raise UsageError(f"{name} is {value}; it must be at least {least}.")
    if (schedule.mode == "burst") != (schedule.period_s > 0):
        raise UsageError("Burst mode needs a period, and no other mode has one.", hint="For example --period 33ms.")
    if schedule.precision_goal is not None and not 0 < schedule.precision_goal < 1:
        raise UsageError(f"The precision goal is {schedule.precision_goal:g}; it must be above 0 % and below 100 %.")


def on_cluster(schedule: Schedule, link: Link) -> Schedule:
    """The schedule with the cores of the cluster that it asks for.

    Raises:
        DeviceError: The device does not answer.
        UsageError: All its cores are of one kind, as far as it says.
    """
    if not schedule.cluster:
        return schedule
    clusters = sorted(catalog.probe().describe(link).clusters, key=lambda cluster: cluster.max_hz)
    if len(clusters) < 2:  # noqa: PLR2004 - a big one and a little one
        raise UsageError(
            f"There are no {schedule.cluster} cores: the device tells of one kind only.", hint="Name cores: --cores 0-3"
        )
    chosen = clusters[-1 if schedule.cluster == "big" else 0]
    return msgspec.structs.replace(schedule, affinity=chosen.cores)
