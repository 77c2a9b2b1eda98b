"""A device's noise band: how far two measurements of one and the same artifact lie apart there.

A change within the band is what the device does by itself. The band is measured, and kept in the data folder as one
small file for each device.
"""

import hashlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import msgspec

from edgekit.artifact import Artifact
from edgekit.comparison import COUNTED_BAND, DEFAULT_BAND
from edgekit.errors import UsageError
from edgekit.measure import PAIRED, benchmark, benchmark_pair
from edgekit.paths import data_folder
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress, Store
from edgekit.publish import whole_file
from edgekit.run import Run, Schedule
from edgekit.stats import paired_ratio, ratio

NOISE_VERSION: Final = 1
"""1: first."""

LEAST: Final = 0.005
"""The narrowest band: a device that shows less has not been watched for long enough."""


class NoiseBand(msgspec.Struct, frozen=True, kw_only=True):
    """How far measurements of one artifact lie apart on a device, relative; 0.02 is 2 %.

    Attributes:
        noise_version: The version of this schema (`NOISE_VERSION`).
        device: The device's URL.
        artifact: What was measured.
        apart: Of runs taken one after the other.
        paired: Of artifacts taken in turns.
        runs: The runs it is from.
    """

    noise_version: int
    device: str
    artifact: str
    apart: float
    paired: float
    runs: tuple[str, ...]


def calibrate_noise(
    artifact: Artifact | Path | str,
    *,
    device: str = "local:",
    target: str = "host",
    rounds: int = 5,
    store: Store | None = None,
    progress: Progress | None = None,
) -> NoiseBand:
    """Measure an artifact against itself, and keep the largest change that is seen as the device's band.

    Args:
        artifact: Any artifact that runs there; one like those to be compared.
        device: The device's URL.
        target: The profile of the device.
        rounds: Runs one after the other, of which each pair is compared; half as many are taken in turns.
        store: Where the runs are kept; the default store when None.
        progress: Told of each step.

    Raises:
        UsageError: Less than two rounds; or as `edgekit.benchmark`.
    """
    if rounds < 2:  # noqa: PLR2004 - one run has nothing to lie apart from
        raise UsageError(f"A noise band needs two rounds at least, not {rounds}.")
    shown = progress or SilentProgress()
    runs = [
        benchmark(artifact, device=device, target=target, schedule=Schedule(), store=store, progress=shown)
        for _ in range(rounds)
    ]
    pairs = [
        benchmark_pair(artifact, artifact, device=device, target=target, schedule=PAIRED, store=store, progress=shown)
        for _ in range(max(1, rounds // 2))
    ]
    apart = [ratio(one.samples_ns, other.samples_ns) for one, other in combinations(runs, 2)]
    paired = [paired_ratio(one.samples_ns, other.samples_ns) for one, other in pairs]
    band = NoiseBand(
        noise_version=NOISE_VERSION,
        device=runs[0].device,
        artifact=runs[0].artifact.name,
        apart=_widest([item.value for item in apart if item]),
        paired=_widest([item.value for item in paired if item]),
        runs=tuple(run.id for run in (*runs, *(run for pair in pairs for run in pair))),
    )
    with whole_file(_place(band.device)) as file:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(band)))
    return band


def noise_band(run: Run) -> float:
    """The band that decides over a comparison with this run: that of its device, else `DEFAULT_BAND`."""
    if run.schedule.clock == "instructions":
        return COUNTED_BAND
    band = load_noise(run.device)
    if band is None:
        return DEFAULT_BAND
    return band.paired if run.pair else band.apart


def load_noise(device: str) -> NoiseBand | None:
    """The band of a device; None when it was not measured, or by an edgekit that kept something else."""
    try:
        return msgspec.json.decode(_place(device).read_bytes(), type=NoiseBand)
    except (OSError, msgspec.DecodeError):
        return None


def _widest(values: Sequence[float]) -> float:
    return max([LEAST, *(max(value, 1 / value) - 1 for value in values)])


def _place(device: str) -> Path:
    return data_folder() / "noise" / f"{hashlib.sha256(device.encode()).hexdigest()[:16]}.json"
