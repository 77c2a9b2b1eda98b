"""Keeps runs: a SQLite file by default, any database that SQLAlchemy knows by URL.

A run is one row with what listings show and the rest as JSON; its samples are rows of their own, one for each process,
as zlib-compressed little-endian 64-bit integers, so that a listing reads none of them.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.paths import data_folder
from edgekit.protocols import RunSummary, Store
from edgekit.run import RUN_VERSION, Run

STORE_VERSION: Final = 1
"""1: first."""

VARIABLE: Final = "EDGEKIT_STORE"

_BUSY_S: Final = 30.0
"""How long to wait for another process that writes."""

_TABLES: Final = sa.MetaData()

_ABOUT: Final = sa.Table("edgekit_store", _TABLES, sa.Column("version", sa.Integer, primary_key=True))

_RUNS: Final = sa.Table(
    "edgekit_runs",
    _TABLES,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("artifact", sa.String, nullable=False),
    sa.Column("artifact_id", sa.String(64), nullable=False, index=True),
    sa.Column("format", sa.String(32), nullable=False),
    sa.Column("precision", sa.String(32), nullable=False),
    sa.Column("device", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("median_ns", sa.Double, nullable=False),
    sa.Column("samples", sa.Integer, nullable=False),
    sa.Column("run", sa.LargeBinary, nullable=False),
)

_SAMPLES: Final = sa.Table(
    "edgekit_samples",
    _TABLES,
    sa.Column("run_id", sa.ForeignKey(_RUNS.c.id), primary_key=True),
    sa.Column("process", sa.Integer, primary_key=True),
    sa.Column("samples_ns", sa.LargeBinary, nullable=False),
)


def open_store(url: str | None = None) -> Store:
    """Open the store, and make its tables where it is new.

    Args:
        url: A database URL, or the path of a SQLite file; `EDGEKIT_STORE` when None, else `runs.sqlite` in the data
            folder.

    Raises:
        UsageError: It cannot be opened, is not edgekit's, or was written by a newer edgekit.
    """
    place = url or os.environ.get(VARIABLE) or str(data_folder() / "runs.sqlite")
    engine = _engine(place)
    with _typed_errors(engine), engine.begin() as connection:
        for table in (_ABOUT, _RUNS, _SAMPLES):
            connection.execute(CreateTable(table, if_not_exists=True))
        version = connection.scalar(sa.select(sa.func.max(_ABOUT.c.version)))
        if version is None:
            connection.execute(_ABOUT.insert().values(version=STORE_VERSION))
    if version is not None and version > STORE_VERSION:
        raise UsageError(
            f"The store {_shown(engine)} has version {version}; edgekit {__version__} reads up to {STORE_VERSION}.",
            hint="Upgrade edgekit: pip install --upgrade edgekit-toolkit",
        )
    return _DatabaseStore(engine)


def _engine(place: str) -> sa.Engine:
    hint = "Write a file's path, or a URL such as postgresql+psycopg://user@host/database."
    try:
        url = sa.make_url(place) if "://" in place else sa.URL.create("sqlite", database=place)
        if url.get_backend_name() != "sqlite":
            return sa.create_engine(url, poolclass=NullPool)
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        return sa.create_engine(url, poolclass=NullPool, connect_args={"timeout": _BUSY_S})
    except OSError as error:
        raise UsageError(f"Cannot make the folder of the store {place}: {error.strerror or error}.") from None
    except ModuleNotFoundError as error:
        driver = error.name or "its driver"
        raise UsageError(f"The store's driver {driver} is missing.", hint=f"pip install {driver}") from None
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError) as error:
        raise UsageError(f"There is no such kind of store: {error}.", hint=hint) from None


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
            UsageError: The database refused it: full, read-only, unreachable.
        """
        rows = [
            {"run_id": run.id, "process": index, "samples_ns": _packed(item.samples_ns)}
            for index, item in enumerate(run.repetitions)
        ]
        with _typed_errors(self._engine), self._engine.begin() as connection:
            connection.execute(_RUNS.insert().values(_row(run)))
            connection.execute(_SAMPLES.insert(), rows)
        return run.id

    def runs(self, *, limit: int = 50) -> Sequence[RunSummary]:
        """The newest runs, newest first."""
        columns = [_RUNS.c[name] for name in RunSummary.__struct_fields__]
        query = sa.select(*columns).order_by(_RUNS.c.created.desc(), _RUNS.c.id.desc()).limit(limit)
        with _typed_errors(self._engine), self._engine.connect() as connection:
            return [RunSummary(**row) for row in connection.execute(query).mappings()]

    def load(self, run_id: str) -> Run:
        """A run with every sample; `run_id` may be an unambiguous beginning of it.

        Raises:
            UsageError: There is none, or several, or it was written by a newer edgekit.
        """
        found = sa.select(_RUNS.c.id, _RUNS.c.run).where(_RUNS.c.id.startswith(run_id, autoescape=True)).limit(3)
        with _typed_errors(self._engine), self._engine.connect() as connection:
            row = _only(run_id, connection.execute(found).all())
            samples = sa.select(_SAMPLES.c.samples_ns).where(_SAMPLES.c.run_id == row.id).order_by(_SAMPLES.c.process)
            packed = connection.scalars(samples).all()
        return _run(row.run, packed)


def _row(run: Run) -> dict[str, Any]:
    bare = tuple(msgspec.structs.replace(item, samples_ns=()) for item in run.repetitions)
    every = list(chain.from_iterable(item.samples_ns for item in run.repetitions))
    return {
        "id": run.id,
        "created": run.created,
        "artifact": run.artifact.name,
        "artifact_id": run.artifact.id,
        "format": run.artifact.format,
        "precision": run.artifact.precision,
        "device": run.device,
        "target": run.target,
        "kind": run.environment.kind,
        "median_ns": float(median(every)),
        "samples": len(every),
        "run": msgspec.json.encode(msgspec.structs.replace(run, repetitions=bare)),
    }


def _packed(samples_ns: Sequence[int]) -> bytes:
    return zlib.compress(np.asarray(samples_ns, "<i8").tobytes())


def _only(run_id: str, rows: Sequence[Any]) -> Any:
    if not rows:
        raise UsageError(f"There is no run {run_id}.", hint="`edgekit runs list` shows the newest.")
    exact = [row for row in rows if row.id == run_id]
    if len(rows) > 1 and not exact:
        some = ", ".join(row.id for row in rows)
        raise UsageError(f"Several runs begin with {run_id}: {some}.", hint="Write more of the id.")
    return (exact or rows)[0]


def _run(encoded: bytes, packed: Sequence[bytes]) -> Run:
    version = msgspec.json.decode(encoded, type=dict[str, Any]).get("run_version")
    if isinstance(version, int) and version > RUN_VERSION:
        raise UsageError(
            f"The run has version {version}; edgekit {__version__} reads up to {RUN_VERSION}.",
            hint="Upgrade edgekit: pip install --upgrade edgekit-toolkit",
        )
    run = msgspec.json.decode(encoded, type=Run)
    repetitions = tuple(
        msgspec.structs.replace(item, samples_ns=tuple(np.frombuffer(zlib.decompress(blob), "<i8").tolist()))
        for item, blob in zip(run.repetitions, packed, strict=True)
    )
    return msgspec.structs.replace(run, repetitions=repetitions)
