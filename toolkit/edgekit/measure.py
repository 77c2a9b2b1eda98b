"""`edgekit.benchmark`: run an artifact's harness on a device, keep what it measured."""

from pathlib import Path

from edgekit import catalog
from edgekit.artifact import Artifact, load_artifact
from edgekit.device import parse_device
from edgekit.errors import UsageError
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress, Store
from edgekit.run import Run, Schedule

OPEN_TIMEOUT_S = 30.0
"""How long a device may take to answer."""


def benchmark(
    artifact: Artifact | Path | str,
    *,
    device: str = "local:",
    target: str = "host",
    schedule: Schedule | None = None,
    check_golden: bool = True,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Run:
    """Measure an artifact on a device and store the run.

    Args:
        artifact: The artifact, or its folder.
        device: The device's URL.
        target: The profile of the device.
        schedule: How to measure.
        check_golden: Whether golden vectors that differ on the device fail the run.
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
    url = parse_device(device)
    profile = catalog.targets().load(target)
    transport, harness = catalog.transport(url.scheme), catalog.harness()
    keeper = store or open_store()
    shown = progress or SilentProgress()
    with transport.open(url, timeout_s=OPEN_TIMEOUT_S) as link:
        deployment = harness.stage(link, loaded, profile, shown)
        run = harness.measure(link, deployment, profile, plan, shown, device=url, check_golden=check_golden)
    keeper.record(run)
    return run


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
    ):
        if not value >= least:
            raise UsageError(f"{name} is {value}; it must be at least {least}.")
