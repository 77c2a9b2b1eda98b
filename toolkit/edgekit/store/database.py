"""The store on a database: opening, reading, and writing that loses nothing beside other writers."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.paths import data_folder
from edgekit.protocols import Added, RunQuery, RunSummary, Store
from edgekit.run import Run
from edgekit.store.rows import join_run, run_row, sample_rows
from edgekit.store.tables import RUNS, SAMPLES, STORE_VERSION, newest, prepare

VARIABLE: Final = "EDGEKIT_STORE"

_BUSY_S: Final = 30.0
"""How long to wait for another process that writes."""

_LOCK: Final = 0x6564_6765_6B69_7401
"""The advisory lock of PostgreSQL that whoever makes or migrates a store holds; "edgekit" in ASCII, and 1."""

_WRITES: Final = {"edgekit_writes": True}

_READ_AT_ONCE: Final = 200
"""Runs whose samples are read by one query."""


def open_store(url: str | None = None) -> Store:
    """Open the store; one that is new is made, one of an older edgekit is migrated.

    Args:
        url: A database URL, or the path of a SQLite file; `EDGEKIT_STORE` when None, else `runs.sqlite` in the data
            folder.

    Raises:
        UsageError: It cannot be opened, is not edgekit's, or was written by a newer edgekit.
    """
    place = url or os.environ.get(VARIABLE) or str(data_folder() / "runs.sqlite")
    engine = _engine(place)
    with _typed_errors(engine):
        found = _current_version(engine)
        if found is None or found < STORE_VERSION:
            with _writing(engine) as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                found = prepare(connection)
    if found > STORE_VERSION:
        raise UsageError(
            f"The store {_shown(engine)} has version {found}; edgekit {__version__} reads up to {STORE_VERSION}.",
            hint="Upgrade edgekit: pip install --upgrade edgekit-toolkit",
        )
    return _DatabaseStore(engine)


def _current_version(engine: sa.Engine) -> int | None:
    """The version of a store that is there; any trouble is left to whoever prepares it."""
    with suppress(sa.exc.DBAPIError), engine.connect() as connection:
        return newest(connection)
    return None


def _engine(place: str) -> sa.Engine:
    hint = "Write a file's path, or a URL such as postgresql://user@host/database."
    try:
        url = sa.make_url(place) if "://" in place else sa.URL.create("sqlite", database=place)
        if url.get_backend_name() == "sqlite":
            return _sqlite(url)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        return sa.create_engine(url, poolclass=NullPool)
    except OSError as error:
        raise UsageError(f"Cannot make the folder of the store {place}: {error.strerror or error}.") from None
    except ModuleNotFoundError as error:
        driver = error.name or "its driver"
        package = "'psycopg[binary]'" if driver == "psycopg" else driver
        raise UsageError(f"The store's driver {driver} is missing.", hint=f"pip install {package}") from None
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError) as error:
        raise UsageError(f"There is no such kind of store: {error}.", hint=hint) from None


def _sqlite(url: sa.URL) -> sa.Engine:
    """SQLite with a write-ahead log, so that readers do not wait, and with writers that queue instead of failing.

    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#serializable-isolation-savepoints-transactional-ddl
    """
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_S})

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        with suppress(connection.OperationalError):  # a read-only place, or a file system without shared memory
            connection.execute("PRAGMA journal_mode=WAL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later fails beside another writer, however long it may wait.
        writes = connection.get_execution_options().get("edgekit_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes, whole or not at all."""
    with engine.execution_options(**_WRITES).begin() as connection:
        yield connection


@contextmanager
def _typed_errors(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise UsageError(
            f"The store {_shown(engine)} cannot be used: {reason}.",
            hint=f"Name another with --store or {VARIABLE}, or mend this one.",
        ) from None


def _shown(engine: sa.Engine) -> str:
    """Where the store is, without a password."""
    if engine.url.get_backend_name() == "sqlite":
        return str(engine.url.database)
    return engine.url.render_as_string(hide_password=True)


class _DatabaseStore:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, run: Run) -> str:
        """Keep a run, whole or not at all.

        Raises:
            UsageError: The database refused it: full, read-only, unreachable, or it has a run of this id.
        """
        with _typed_errors(self._engine), _writing(self._engine) as connection:
            _insert(connection, [run])
        return run.id

    def add(self, runs: Sequence[Run]) -> Added:
        """Keep those that are not there yet, all or none of them.

        Raises:
            UsageError: One has the id of a stored run and is another; or as `record`.
        """
        with _typed_errors(self._engine), _writing(self._engine) as connection:
            there = _stored(connection, [run.id for run in runs])
            new: dict[str, Run] = {}
            for run in runs:
                if (there.get(run.id) or new.setdefault(run.id, run)) != run:
                    raise UsageError(f"The store has another run {run.id}.", hint="One of the two was changed by hand.")
            _insert(connection, list(new.values()))
        return Added(new=len(new), known=len(runs) - len(new))

    def runs(self, query: RunQuery | None = None) -> Sequence[RunSummary]:
        """Runs without their samples, newest first."""
        columns = [RUNS.c[name] for name in RunSummary.__struct_fields__]
        with _typed_errors(self._engine), self._engine.connect() as connection:
            found = connection.execute(_narrowed(sa.select(*columns), query or RunQuery()))
            return [RunSummary(**row) for row in found.mappings()]

    def load(self, run_id: str) -> Run:
        """A run with every sample; `run_id` may be an unambiguous beginning of it.

        Raises:
            UsageError: There is none, or several, or it was written by a newer edgekit.
        """
        with _typed_errors(self._engine), self._engine.connect() as connection:
            exact = connection.scalars(sa.select(RUNS.c.id).where(RUNS.c.id == run_id)).all()
            found = exact or connection.scalars(sa.select(RUNS.c.id).where(_begins(run_id)).limit(3)).all()
            (run,) = _read(connection, sa.select(RUNS).where(RUNS.c.id == _only(run_id, found)))
            return run

    def every(self, query: RunQuery | None = None) -> Iterator[Run]:
        """Runs with every sample, newest first, a few in memory at a time."""
        ids = [item.id for item in self.runs(query or RunQuery(limit=None))]
        for some in _slices(ids):
            with _typed_errors(self._engine), self._engine.connect() as connection:
                found = _stored(connection, some)
            yield from (found[run_id] for run_id in some if run_id in found)

    def delete(self, run_ids: Sequence[str]) -> None:
        """Forget these runs, all or none of them, and give the space back.

        Raises:
            UsageError: The database refused it, as in `record`.
        """
        with _typed_errors(self._engine):
            with _writing(self._engine) as connection:
                for some in _slices(run_ids):
                    connection.execute(SAMPLES.delete().where(SAMPLES.c.run_id.in_(some)))
                    connection.execute(RUNS.delete().where(RUNS.c.id.in_(some)))
            if self._engine.dialect.name == "sqlite":  # PostgreSQL does it by itself
                _vacuum(self._engine)


def _vacuum(engine: sa.Engine) -> None:
    """Give a SQLite file's free space back.

    It wants the file for itself and room for a copy; where it gets neither, the next runs use the space.
    """
    with closing(engine.raw_connection()) as connection, suppress(sqlite3.OperationalError):
        connection.cursor().execute("VACUUM")  # never inside of a transaction


def _insert(connection: sa.Connection, runs: Sequence[Run]) -> None:
    if runs:
        connection.execute(RUNS.insert(), [run_row(run) for run in runs])
        connection.execute(SAMPLES.insert(), [row for run in runs for row in sample_rows(run)])


def _stored(connection: sa.Connection, run_ids: Sequence[str]) -> dict[str, Run]:
    """Those of these runs that are there, by id."""
    found: dict[str, Run] = {}
    for some in _slices(run_ids):
        found |= {run.id: run for run in _read(connection, sa.select(RUNS).where(RUNS.c.id.in_(some)))}
    return found


def _slices(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """A few ids at a time: a query has room for some thousand, and memory for fewer runs."""
    for place in range(0, len(run_ids), _READ_AT_ONCE):
        yield run_ids[place : place + _READ_AT_ONCE]


def _read(connection: sa.Connection, runs: "sa.Select[Any]") -> Sequence[Run]:
    """Whole runs, of a query of their rows."""
    rows = {row.id: row.run for row in connection.execute(runs)}
    samples: dict[str, list[bytes]] = {run_id: [] for run_id in rows}
    query = (
        sa.select(SAMPLES.c.run_id, SAMPLES.c.samples_ns).where(SAMPLES.c.run_id.in_(rows)).order_by(SAMPLES.c.process)
    )
    for row in connection.execute(query) if rows else ():
        samples[row.run_id].append(row.samples_ns)
    return [join_run(encoded, samples[run_id]) for run_id, encoded in rows.items()]


def _narrowed(select: "sa.Select[Any]", query: RunQuery) -> "sa.Select[Any]":
    for column, value in (
        (RUNS.c.artifact, query.artifact),
        (RUNS.c.device, query.device),
        (RUNS.c.format, query.format),
    ):
        if value is not None:
            select = select.where(column == value)
    if query.since is not None:
        select = select.where(RUNS.c.created >= query.since)
    if query.before is not None:
        select = select.where(RUNS.c.created < query.before)
    return select.order_by(RUNS.c.created.desc(), RUNS.c.id.desc()).limit(query.limit)


def _begins(run_id: str) -> "sa.ColumnElement[bool]":
    return RUNS.c.id.startswith(run_id, autoescape=True)


def _only(run_id: str, ids: Sequence[str]) -> str:
    if not ids:
        raise UsageError(f"There is no run {run_id}.", hint="`edgekit runs list` shows the newest.")
    if len(ids) > 1:
        raise UsageError(f"Several runs begin with {run_id}: {', '.join(ids)}.", hint="Write more of the id.")
    return ids[0]
