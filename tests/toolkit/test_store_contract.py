"""What every store does, whatever database it is on: SQLite, and a real PostgreSQL server."""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.operations import Operations

from edgekit.errors import UsageError
from edgekit.protocols import Added, RunQuery
from edgekit.run import Run, Schedule
from edgekit.store import STORE_VERSION, open_store, tables
from fakes import make_run

SPAWN = multiprocessing.get_context("spawn")

FIRST_SCHEMA = (
    "CREATE TABLE edgekit_store (version INTEGER NOT NULL PRIMARY KEY)",
    (
        "CREATE TABLE edgekit_runs (id VARCHAR(64) NOT NULL PRIMARY KEY, created VARCHAR(32) NOT NULL, "
        "artifact VARCHAR NOT NULL, artifact_id VARCHAR(64) NOT NULL, format VARCHAR(32) NOT NULL, "
        "precision VARCHAR(32) NOT NULL, device VARCHAR NOT NULL, target VARCHAR NOT NULL, kind VARCHAR(16) NOT NULL, "
        "median_ns {double} NOT NULL, samples INTEGER NOT NULL, run {blob} NOT NULL)"
    ),
    (
        "CREATE TABLE edgekit_samples (run_id VARCHAR(64) NOT NULL REFERENCES edgekit_runs (id), "
        "process INTEGER NOT NULL, samples_ns {blob} NOT NULL, PRIMARY KEY (run_id, process))"
    ),
    "INSERT INTO edgekit_store VALUES (1)",
)
"""The first release's tables, as they were made then."""

TYPES = {
    "sqlite": {"blob": "BLOB", "double": "DOUBLE"},
    "postgresql": {"blob": "BYTEA", "double": "DOUBLE PRECISION"},
}
"""What each database calls them."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.sqlite"
    found: str = request.getfixturevalue("postgres_url")
    return found


def made_on(day: int, **changes: object) -> Run:
    """A run of a day in January."""
    return make_run(id=f"202601{day:02}-run", created=f"2026-01-{day:02}T00:00:00.000Z", **changes)  # type: ignore[arg-type]  # passed on


def test_a_run_comes_back_whole(url: str) -> None:
    """Every sample of every process, and everything around them."""
    run = make_run([5, 3, 2**40], pair="p", schedule=Schedule(mode="burst", period_s=0.1))
    open_store(url).record(run)
    assert open_store(url).load(run.id[:-3]) == run


def test_listings_are_narrowed_in_the_database(url: str) -> None:
    """By artifact, device, format and time; the newest first."""
    store = open_store(url)
    for day in (2, 3, 1):
        store.record(made_on(day, device=f"ssh://pi{day}", artifact={"name": f"net{day % 2}"}))
    ids = [made_on(day).id for day in (3, 2, 1)]
    assert [item.id for item in store.runs()] == ids
    for query, expected in (
        (RunQuery(limit=2), ids[:2]),
        (RunQuery(artifact="net1"), [ids[0], ids[2]]),
        (RunQuery(device="ssh://pi2"), [ids[1]]),
        (RunQuery(format="onnx"), []),
        (RunQuery(since="2026-01-02"), ids[:2]),
        (RunQuery(before="2026-01-02T00:00:00.000Z"), ids[2:]),
        (RunQuery(artifact="net1' OR '1'='1"), []),
    ):
        assert [item.id for item in store.runs(query)] == expected


def test_every_run_with_its_samples(url: str) -> None:
    """All of them, or those of a query."""
    store = open_store(url)
    runs = [made_on(day, samples_ns=[day, day + 1]) for day in range(1, 6)]
    for run in runs:
        store.record(run)
    assert list(store.every()) == runs[::-1]
    assert list(store.every(RunQuery(limit=2))) == runs[:2:-1]


def test_what_is_there_is_passed_over_and_what_contradicts_it_refused(url: str) -> None:
    """All of a batch or none of it."""
    store = open_store(url)
    store.record(made_on(1))
    assert store.add([made_on(1), made_on(2), made_on(2)]) == Added(new=1, known=2)
    with pytest.raises(UsageError, match="another run 20260101-run"):
        store.add([made_on(3), made_on(1, target="other")])
    assert [item.id for item in store.runs()] == ["20260102-run", "20260101-run"]
    assert store.add([]) == Added(new=0, known=0)


def test_runs_that_contradict_each_other_are_refused(url: str) -> None:
    """Of two in one batch with the same id neither is the right one."""
    store = open_store(url)
    with pytest.raises(UsageError, match="another run 20260101-run"):
        store.add([made_on(2), made_on(1, samples_ns=[1]), made_on(1, samples_ns=[2])])
    assert store.runs() == []


def test_a_deleted_run_is_gone_with_its_samples(url: str) -> None:
    """And can be kept again."""
    store = open_store(url)
    for day in (1, 2):
        store.record(made_on(day))
    store.delete([made_on(1).id, "none"])
    with pytest.raises(UsageError, match="There is no run"):
        store.load(made_on(1).id)
    store.record(made_on(1))
    assert store.load(made_on(1).id) == made_on(1)


def test_the_first_release_s_store_is_migrated(url: str) -> None:
    """Its runs stay as they were, and are told as what was all there was then: single-stream."""
    run = made_on(1)
    engine = _engine(url)
    open_store(url)
    made = _shape(engine)
    _first_release(url, run)
    with SPAWN.Pool(2) as pool:
        pool.map(_open, [url, url])
    store = open_store(url)
    assert store.load(run.id) == run
    (told,) = store.runs()
    assert (told.mode, told.pair) == ("single-stream", "")
    store.record(made_on(2))
    assert _shape(engine) == made


def test_a_migration_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store stays one of the first release, and the next try migrates it."""
    _first_release(url, made_on(1))
    before = _shape(_engine(url))

    def breaks(operations: Operations) -> None:
        tables._to_2(operations)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tables, "_MIGRATIONS", {2: breaks})
        with pytest.raises(KeyboardInterrupt):
            open_store(url)
    assert _shape(_engine(url)) == before
    assert open_store(url).load(made_on(1).id) == made_on(1)


def _shape(engine: sa.Engine) -> dict[str, object]:
    """Every table's columns and indexes."""
    inspector = sa.inspect(engine)
    shape: dict[str, object] = {}
    for table in inspector.get_table_names():
        columns = {(item["name"], str(item["type"]), item["nullable"]) for item in inspector.get_columns(table)}
        indexes = {(item["name"], tuple(item["column_names"])) for item in inspector.get_indexes(table)}
        shape[table] = (columns, indexes)
    return shape


def _first_release(url: str, run: Run) -> None:
    """Make the database one that the first release wrote, with this run."""
    open_store(url).record(run)
    engine = _engine(url)
    with engine.begin() as connection:
        row = dict(connection.execute(sa.text("SELECT * FROM edgekit_runs")).mappings().one())
        samples = [dict(item) for item in connection.execute(sa.text("SELECT * FROM edgekit_samples")).mappings()]
        for table in ("edgekit_samples", "edgekit_runs", "edgekit_store"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        for statement in FIRST_SCHEMA:
            connection.execute(sa.text(statement.format(**TYPES[engine.name])))
        old = {name: value for name, value in row.items() if name not in {"mode", "pair", "clock"}}
        _insert(connection, "edgekit_runs", [old])
        _insert(connection, "edgekit_samples", samples)


def _insert(connection: sa.Connection, table: str, rows: Sequence[dict[str, object]]) -> None:
    names = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), rows)  # noqa: S608 - names of ours


def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)


def test_a_store_of_a_newer_edgekit_is_refused(url: str) -> None:
    """Rather than misread."""
    open_store(url)
    with _engine(url).begin() as connection:
        connection.execute(sa.text(f"UPDATE edgekit_store SET version = {STORE_VERSION + 1}"))  # noqa: S608 - a number of ours
    with pytest.raises(UsageError, match=f"version {STORE_VERSION + 1}"):
        open_store(url)


def _open(url: str) -> None:
    open_store(url)


def _record(url: str, writer: int, count: int) -> None:
    store = open_store(url)
    for number in range(count):
        store.record(make_run(id=f"run-{writer}-{number}"))


@pytest.mark.slow
def test_eight_writers_of_a_new_store_lose_nothing(url: str) -> None:
    """Not even while it is being made."""
    with SPAWN.Pool(8) as pool:
        pool.starmap(_record, [(url, writer, 25) for writer in range(8)])
    assert len(open_store(url).runs(RunQuery(limit=None))) == 200


@pytest.mark.slow
def test_a_writer_that_is_killed_loses_the_run_in_flight_at_most(url: str) -> None:
    """What was recorded before is whole, and others go on writing."""
    writer = SPAWN.Process(target=_record, args=(url, 0, 100_000))
    writer.start()
    deadline = time.monotonic() + 60
    while len(_ids(url)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    store = open_store(url)
    runs = list(store.every())
    assert len(runs) >= 5
    assert all(run == make_run(id=run.id) for run in runs)
    _record(url, 1, 1)
    assert store.load("run-1-0") == make_run(id="run-1-0")


def _ids(url: str) -> list[str]:
    return [item.id for item in open_store(url).runs()]
