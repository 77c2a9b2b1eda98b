"""The store with 100,000 runs: listing, loading two runs, importing, and eight writers at once.

On SQLite, and on a PostgreSQL server of its own where one is installed.
"""

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from alternating import Check, conclude

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from edgekit.comparison import compare
from edgekit.protocols import RunQuery
from edgekit.store import open_store
from edgekit.store.transfer import export_json, import_json
from fakes import make_run  # the tests' runs are as good as any
from peers import postgres

RUNS: Final = 100_000
WRITERS: Final = 8
EACH: Final = 25
TRIES: Final = 5


def _runs() -> Iterator[Any]:
    run = make_run(range(1_000_000, 1_000_020))
    for number in range(RUNS):
        day = f"2025-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}T00:00:00.{number % 1000:03}Z"
        artifact = msgspec.structs.replace(run.artifact, name=f"net-{number % 40}")
        yield msgspec.structs.replace(run, id=f"{number:06}-run", created=day, artifact=artifact)


def _write(url: str, writer: int) -> None:
    store = open_store(url)
    for number in range(EACH):
        store.record(make_run(id=f"writer-{writer}-{number}"))


def _median_s(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(TRIES):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _compare(url: str) -> None:
    store = open_store(url)
    compare(store.load("000007"), store.load("099999"))


def _checks(name: str, url: str, file: Path) -> list[Check]:
    start = time.perf_counter()
    added = import_json(file, open_store(url))
    rate = added.new / (time.perf_counter() - start)
    listing_s = _median_s(lambda: open_store(url).runs(RunQuery(limit=20)))
    narrowed_s = _median_s(lambda: open_store(url).runs(RunQuery(artifact="net-7", limit=20)))
    compare_s = _median_s(lambda: _compare(url))
    with multiprocessing.get_context("spawn").Pool(WRITERS) as pool:
        pool.starmap(_write, [(url, writer) for writer in range(WRITERS)])
    kept = sum(item.id.startswith("writer-") for item in open_store(url).runs(RunQuery(limit=None)))
    return [
        Check(f"{name}: runs imported a second", rate, float("inf"), 1000.0),
        Check(f"{name}: list 20 of {RUNS:,} runs", listing_s, 0.5, unit="s"),
        Check(f"{name}: list 20 of one artifact", narrowed_s, 0.5, unit="s"),
        Check(f"{name}: load and compare two runs", compare_s, 0.5, unit="s"),
        Check(f"{name}: runs of {WRITERS} writers at once that were kept", kept, WRITERS * EACH, WRITERS * EACH),
    ]


def measure() -> tuple[list[str], list[Check]]:
    """Fill, read and write; what was left out, and the figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "runs.jsonl")
        with file.open("wb") as stream:
            export_json(_runs(), stream)
        checks = _checks("SQLite", f"sqlite:///{folder}/runs.sqlite", file)
        reason = postgres.missing()
        if not reason:
            with postgres.server() as url:
                checks += _checks("PostgreSQL", url.format(database="postgres"), file)
    return [f"PostgreSQL is left out: {reason}"] if reason else [], checks


def main() -> int:
    """Measure and judge."""
    lines, checks = measure()
    return conclude("store", lines, {"runs": RUNS}, checks)


if __name__ == "__main__":
    sys.exit(main())
