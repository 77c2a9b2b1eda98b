"""Instructions per inference on an emulated board while this machine is busy: five runs, and one of 2 % more work."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from alternating import Check, conclude
from busy import busy

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from edgekit.comparison import compare
from edgekit.errors import UsageError
from edgekit.measure import COUNTED, benchmark
from edgekit.noise import noise_band
from edgekit.progress import SilentProgress
from edgekit.provisioning import provision
from edgekit_bridge.virtual import devices
from edgekit_bridge.virtual.needs import check_needs
from models.linear import layers_artifact

RUNS: Final = 5
LAYERS: Final = 49
"""One more is 2 % more work."""

NAME: Final = "counted"
SILENT: Final = SilentProgress()


@contextmanager
def _board() -> Iterator[str]:
    """A board of our own, with LiteRT; gives its URL."""
    devices.create(NAME, "raspberrypi4", "board", SILENT)
    try:
        devices.start(NAME, SILENT, clock="instructions")
        provision(NAME, runtime="litert")
        yield f"virtual:{NAME}"
    finally:
        devices.remove(NAME)


def measure(folder: Path) -> tuple[list[str], dict[str, float], list[Check]]:
    """Five runs, and one of a model with one layer more."""
    few, more = (layers_artifact(folder / f"{count}.edgekit", count) for count in (LAYERS, LAYERS + 1))
    with _board() as device, busy():
        runs = [benchmark(few, device=device, schedule=COUNTED) for _ in range(RUNS)]
        larger = benchmark(more, device=device, schedule=COUNTED)
    medians = [median(sample for process in run.samples_ns for sample in process) for run in runs]
    spread = 100 * (max(medians) / min(medians) - 1)
    found = compare(runs[-1], larger, band=noise_band(larger))
    change = 100 * (found.median.value - 1) if found.median else 0.0
    lines = [
        f"Medians of {RUNS} runs, instructions: {', '.join(f'{value:,.0f}' for value in medians)}.",
        f"One layer of {LAYERS} more: {change:+.2f} %, {found.outcome}.",
    ]
    return (
        lines,
        {"spread_percent": spread, "change_percent": change},
        [
            Check(f"spread of {RUNS} runs on a busy machine", spread, 0.5, unit="%"),
            Check("2 % more work, as found", change, 2.5, 1.5, unit="%"),
            Check("2 % more work is told apart", float(found.outcome == "slower"), 1, 1),
        ],
    )


def main() -> int:
    """Measure and judge."""
    try:
        check_needs("board")
    except UsageError as error:
        return conclude("counted", [f"Left out: {error.cause} {error.hint}"], {}, [])
    with tempfile.TemporaryDirectory() as place:
        os.environ["EDGEKIT_DATA"] = f"{place}/data"
        lines, facts, checks = measure(Path(place))
    return conclude("counted", lines, facts, checks)


if __name__ == "__main__":
    sys.exit(main())
