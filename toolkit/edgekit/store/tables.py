"""The store's tables, and how a store of an older edgekit becomes one of this.

A run is one row with what listings show and the rest as JSON; its samples are rows of their own, one for each process,
as zlib-compressed little-endian 64-bit integers, so that a listing reads none of them.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

STORE_VERSION: Final = 3
"""1: first. 2: runs tell their mode and pair; indexes for listings by time, artifact and device. 3: and their clock."""

TABLES: Final = sa.MetaData()

ABOUT: Final = sa.Table("edgekit_store", TABLES, sa.Column("version", sa.Integer, primary_key=True))

RUNS: Final = sa.Table(
    "edgekit_runs",
    TABLES,
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
    sa.Column("mode", sa.String(16), nullable=False, server_default="single-stream"),
    sa.Column("pair", sa.String(64), nullable=False, server_default=""),
    sa.Column("clock", sa.String(16), nullable=False, server_default="wall"),
    sa.Index("ix_edgekit_runs_created", "created", "id"),
    sa.Index("ix_edgekit_runs_artifact", "artifact", "device"),
)

SAMPLES: Final = sa.Table(
    "edgekit_samples",
    TABLES,
    sa.Column("run_id", sa.ForeignKey(RUNS.c.id), primary_key=True),
    sa.Column("process", sa.Integer, primary_key=True),
    sa.Column("samples_ns", sa.LargeBinary, nullable=False),
)


def _to_2(op: "Operations") -> None:
    op.add_column(RUNS.name, sa.Column("mode", sa.String(16), nullable=False, server_default="single-stream"))
    op.add_column(RUNS.name, sa.Column("pair", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_edgekit_runs_artifact_id", RUNS.name, ["artifact_id"], if_not_exists=True)
    op.create_index("ix_edgekit_runs_created", RUNS.name, ["created", "id"])
    op.create_index("ix_edgekit_runs_artifact", RUNS.name, ["artifact", "device"])


def _to_3(op: "Operations") -> None:
    op.add_column(RUNS.name, sa.Column("clock", sa.String(16), nullable=False, server_default="wall"))


_MIGRATIONS: Final[Mapping[int, Callable[["Operations"], None]]] = {2: _to_2, 3: _to_3}
"""What makes a store of this version out of one of the version before."""


def prepare(connection: sa.Connection) -> int:
    """Make the tables, or bring them up to date; gives the store's version, which may be newer than ours.

    The caller holds a transaction that no other writer is in.
    """
    found = version(connection)
    if found is None:
        TABLES.create_all(connection, checkfirst=True)
        found = newest(connection)
    if found is None:
        connection.execute(ABOUT.insert().values(version=STORE_VERSION))
        return STORE_VERSION
    if found < STORE_VERSION:
        _migrate(connection, found)
        return STORE_VERSION
    return found


def version(connection: sa.Connection) -> int | None:
    """The version of a store; None where there is none yet."""
    if not sa.inspect(connection).has_table(ABOUT.name):
        return None
    return newest(connection)


def newest(connection: sa.Connection) -> int | None:
    """The version that the store's own table tells."""
    found = connection.scalar(sa.select(sa.func.max(ABOUT.c.version)))
    return None if found is None else int(found)


def _migrate(connection: sa.Connection, found: int) -> None:
    """Alembic's operations speak each database's dialect; importing them takes longer than most commands do."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(connection))
    for step in range(found + 1, STORE_VERSION + 1):
        _MIGRATIONS[step](operations)
    connection.execute(ABOUT.update().values(version=STORE_VERSION))
