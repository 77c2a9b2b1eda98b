"""Whether edgekit's numbers can be believed: false alarms, found slowdowns, coverage, overhead, store, report.

The comparisons take about half an hour on a quiet machine; `--comparisons N` takes fewer, and its bars scale along.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import store
from alternating import Check, conclude
from harness import camera_artifacts

import edgekit
from edgekit.artifact import Artifact
from edgekit.comparison import compare
from edgekit.gate import check
from edgekit.html_report import write_report
from edgekit.measure import benchmark_pair
from edgekit.protocols import Store
from edgekit.run import Repetition, Run
from edgekit.stats import median_interval, percentile_bound
from edgekit.store import open_store

COMPARISONS: Final = 100
SLOWDOWN: Final = 0.05
SIMULATED: Final = 2000
PROCESSES: Final = 5
SAMPLES: Final = 300
REPORT_RUNS: Final = 50
REPORT_SAMPLES: Final = 2000


def _comparisons() -> int:
    words = sys.argv
    return int(words[words.index("--comparisons") + 1]) if "--comparisons" in words else COMPARISONS


def _outcomes(artifact: Artifact, keeper: Store, count: int) -> tuple[list[str], list[str]]:
    """The default gate's states: of an artifact against itself, and against itself slowed down, in turns."""
    same: list[str] = []
    slower: list[str] = []
    for place in range(count):
        for found, share in ((same, 0.0), (slower, SLOWDOWN)):
            base, new = benchmark_pair(artifact, artifact, store=keeper, slowed=(0.0, share))
            found.append(check(compare(base, new), [])[0].state)
        print(f"  {place + 1} of {count}: {same[-1]}, slowed: {slower[-1]}", file=sys.stderr, flush=True)
    return same, slower


def _apart(artifact: Artifact, keeper: Store, count: int) -> list[str]:
    """As `_outcomes`, of runs taken one after the other: every two of as many as give `count` comparisons."""
    runs: list[Run] = []
    while len(runs) * (len(runs) - 1) // 2 < count:
        runs.append(edgekit.benchmark(artifact, store=keeper))
    return [check(compare(*pair), [])[0].state for pair in combinations(runs, 2)]


def _simulated(
    random: np.random.Generator, runs: int, apart: float
) -> "np.ndarray[tuple[int, int, int], np.dtype[np.int64]]":
    """Samples of shape (runs, processes, samples): a floor, and above it a log-normal AR(1) process, as stalls are."""
    shocks = random.standard_normal((runs, PROCESSES, SAMPLES + 100))
    for step in range(1, shocks.shape[2]):
        shocks[:, :, step] = 0.9 * shocks[:, :, step - 1] + np.sqrt(1 - 0.9**2) * shocks[:, :, step]
    factor = np.exp(apart * random.standard_normal((runs, PROCESSES, 1)))
    return (1e6 * factor * (1 + 0.1 * np.exp(shocks[:, :, 100:]))).astype(np.int64)


def _coverage(apart: float) -> float:
    """How often the median's interval holds the true median."""
    random = np.random.default_rng(0)
    truth = float(np.median(_simulated(random, 20_000 // PROCESSES, apart)))
    intervals = [median_interval(list(run)) for run in _simulated(random, SIMULATED, apart)]
    return statistics.mean(item is not None and item.low_ns <= truth <= item.high_ns for item in intervals)


def _bound_coverage() -> float:
    """How often the p90 bound is not below the true p90, of independent samples as LoadGen's rule takes them."""
    random = np.random.default_rng(1)
    truth = float(np.exp(1.2815515655446004))  # the standard normal's 90th percentile
    bounds = [
        percentile_bound((1e6 * np.exp(random.standard_normal(200))).astype(np.int64), 0.9) for _ in range(SIMULATED)
    ]
    return statistics.mean(bound is not None and bound >= 1e6 * truth for bound in bounds)


def _report(run: Run, folder: Path) -> tuple[float, float]:
    """Seconds to write a report of many long runs, and its size in MB."""
    random = np.random.default_rng(2)
    runs = [_long_run(run, place, random) for place in range(REPORT_RUNS)]
    start = time.perf_counter()
    write_report(runs, folder / "report.html")
    return time.perf_counter() - start, (folder / "report.html").stat().st_size / 1e6


def _long_run(run: Run, place: int, random: np.random.Generator) -> Run:
    import msgspec

    repetitions: Sequence[Repetition] = [
        msgspec.structs.replace(
            run.repetitions[0],
            samples_ns=tuple(
                (1e6 * (1 + place / 50 + 0.1 * np.exp(random.standard_normal(REPORT_SAMPLES)))).astype(int)
            ),
        )
        for _ in range(PROCESSES)
    ]
    return msgspec.structs.replace(run, id=f"{run.id}-{place}", repetitions=tuple(repetitions))


@contextmanager
def _work() -> Iterator[tuple[Path, Store]]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), open_store(f"{folder}/runs.sqlite")


def main() -> int:
    """Measure, simulate and judge."""
    count = _comparisons()
    with _work() as (work, keeper):
        artifact = next(item for item in camera_artifacts(work) if item.manifest.format == "tflite")
        run = edgekit.benchmark(artifact, store=keeper)
        overhead_us = statistics.median(item.overhead_ns for item in run.repetitions) / 1e3
        report_s, report_mb = _report(run, work)
        coverage, apart_coverage, bound = _coverage(0.0), _coverage(0.03), _bound_coverage()
        apart = _apart(artifact, keeper, count)
        same, slower = _outcomes(artifact, keeper, count)
    lines, stored = store.measure()
    checks = [
        Check(f"false alarms, {len(apart)} comparisons of runs apart", apart.count("failed"), 0.05 * len(apart)),
        Check(f"false alarms, {count} comparisons in turns", same.count("failed"), 0.05 * count),
        Check(f"{SLOWDOWN:.0%} slowdowns found, of {count}, in turns", slower.count("failed"), count, 0.95 * count),
        Check("95 % interval holds the median", coverage, 0.97, 0.93),
        Check("the same, where processes differ by 3 %", apart_coverage, 0.97, 0.93),
        Check("99 % bound holds the p90", bound, 1.0, 0.99),
        Check("harness overhead for each inference", overhead_us, 2.5, unit="us"),
        Check(f"report of {REPORT_RUNS} runs of {PROCESSES * REPORT_SAMPLES:,} samples", report_s, 3.0, unit="s"),
        Check("its size", report_mb, 6.0, unit="MB"),
        *stored,
    ]
    facts = {"comparisons": count, "apart": apart, "same": same, "slower": slower}
    lines.append(f"{SIMULATED:,} simulated runs of {PROCESSES} processes of {SAMPLES} samples")
    return conclude("truth", lines, facts, checks)


if __name__ == "__main__":
    sys.exit(main())
