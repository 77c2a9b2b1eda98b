"""Runs as files: JSON lines that can be imported again, CSV and Parquet for other tools.

JSON lines hold a run a line, with every sample (https://jsonlines.org). The tables have a row for each sample.
"""

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias

import msgspec

from edgekit.errors import UsageError
from edgekit.protocols import Added, Store
from edgekit.run import Run
from edgekit.store.rows import decode_run

Kind: TypeAlias = Literal["json", "csv", "parquet"]

COLUMNS: Final = (
    "run", "created", "artifact", "format", "precision", "device", "target", "kind", "clock", "process", "sample",
    "latency_ns",
)  # fmt: skip
"""The columns of the tables; `process` and `sample` count from 0. `latency_ns` is instructions where `clock` says."""

BATCH: Final = 1000
"""Runs that are written in one transaction: more keep other writers waiting, fewer wait for the disk."""

ROW_GROUP: Final = 1 << 17
"""Least samples of a row group: Parquet's readers skip and compress by the group, so that a small one is all overhead.

https://parquet.apache.org/docs/file-format/configurations/
"""

_LARGEST_NS: Final = 2**63 - 1
"""What a stored sample has room for: 292 years."""


def export_json(runs: Iterable[Run], stream: IO[bytes]) -> int:
    """Write a run a line; gives their number."""
    count = 0
    for run in runs:
        stream.write(msgspec.json.encode(run) + b"\n")
        count += 1
    return count


def export_csv(runs: Iterable[Run], stream: IO[bytes]) -> int:
    """Write a sample a line, under a header; gives the number of runs."""
    import io

    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    count = 0
    for run in runs:
        facts = _facts(run)
        for process, item in enumerate(run.repetitions):
            writer.writerows((*facts, process, place, sample) for place, sample in enumerate(item.samples_ns))
        count += 1
    text.detach()
    return count


def export_parquet(runs: Iterable[Run], stream: IO[bytes]) -> int:
    """Write a row a sample, in row groups of whole runs; gives the number of runs.

    Raises:
        UsageError: PyArrow is missing.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UsageError("Parquet needs PyArrow.", hint="pip install pyarrow") from None
    numbers = {"process": pa.int32(), "sample": pa.int32(), "latency_ns": pa.int64()}
    schema = pa.schema([(name, numbers.get(name, pa.string())) for name in COLUMNS])
    count = 0
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for group in _row_groups(runs):
            tables = [_run_table(run, schema) for run in group]
            writer.write_table(pa.concat_tables(tables), row_group_size=sum(map(len, tables)))
            count += len(group)
    return count


EXPORTS: Final[Mapping[Kind, Callable[[Iterable[Run], IO[bytes]], int]]] = {
    "json": export_json,
    "csv": export_csv,
    "parquet": export_parquet,
}
"""What writes each kind of file."""


def _facts(run: Run) -> tuple[str, ...]:
    artifact = run.artifact
    facts = (run.id, run.created, artifact.name, artifact.format, artifact.precision, run.device, run.target)
    return (*facts, run.environment.kind, run.schedule.clock)


def _row_groups(runs: Iterable[Run]) -> Iterator[list[Run]]:
    group: list[Run] = []
    rows = 0
    for run in runs:
        group.append(run)
        rows += sum(len(item.samples_ns) for item in run.repetitions)
        if rows >= ROW_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _run_table(run: Run, schema: Any) -> Any:
    """A run's rows as an Arrow table."""
    import pyarrow as pa

    processes = run.samples_ns
    latencies = pa.array(list(chain.from_iterable(processes)), pa.int64())
    facts = [pa.repeat(pa.scalar(value, pa.string()), len(latencies)) for value in _facts(run)]
    numbers = chain.from_iterable(repeat(number, len(samples)) for number, samples in enumerate(processes))
    places = chain.from_iterable(range(len(samples)) for samples in processes)
    counted = [pa.array(list(column), pa.int32()) for column in (numbers, places)]
    return pa.table([*facts, *counted, latencies], schema=schema)


def import_stream(stream: IO[bytes], store: Store) -> Added:
    """Keep the runs of JSON lines that can be read only once, such as a pipe's; as `import_json`.

    Raises:
        UsageError: As `import_json`.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-import-") as folder:
        path = Path(folder, "runs.jsonl")
        with path.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        return import_json(path, store, name="standard input")


def import_json(path: Path, store: Store, *, name: str | None = None) -> Added:
    """Keep the runs of a file of JSON lines; those that the store has are passed over.

    The whole file is read before anything is kept, so that a damaged one changes nothing.

    Args:
        path: The file.
        store: Where to keep them.
        name: What messages call the file; its path when None.

    Raises:
        UsageError: A line is no run, or of a newer edgekit; or the store has another run of its id.
    """
    shown = name or str(path)
    for _ in _read(path, shown):
        pass
    new = known = 0
    batch: list[Run] = []
    for run in _read(path, shown):
        batch.append(run)
        if len(batch) == BATCH:
            added = store.add(batch)
            new, known, batch = new + added.new, known + added.known, []
    added = store.add(batch)
    return Added(new=new + added.new, known=known + added.known)


def _read(path: Path, shown: str) -> Iterator[Run]:
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _line(f"{shown}, line {number}", line)
    except OSError as error:
        raise UsageError(f"Cannot read {shown}: {error.strerror or error}.") from None


def _line(place: str, line: bytes) -> Run:
    try:
        run = decode_run(line)
    except UsageError as error:
        raise UsageError(f"{place}: {error.cause}", hint=error.hint) from None
    if not run.id or not run.repetitions or not all(run.samples_ns):
        raise UsageError(f"{place}: the run has no id or no samples.")
    if not all(0 <= min(item.samples_ns) <= max(item.samples_ns) <= _LARGEST_NS for item in run.repetitions):
        raise UsageError(f"{place}: the run has a sample that is no latency in nanoseconds.")
    return run
