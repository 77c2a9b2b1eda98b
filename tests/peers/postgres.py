"""A real PostgreSQL server for the tests: a cluster of its own in a temporary folder, on a socket there."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def _program(name: str) -> str | None:
    """A program of the server; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


def _owner() -> dict[str, Any]:
    """Whom the server runs as: PostgreSQL refuses root."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


def missing() -> str:
    """Why there can be no server here; empty when there can."""
    if _program("initdb") is None or _program("pg_ctl") is None:
        return "PostgreSQL's server is not installed (Debian: postgresql)"
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a new server, with `{database}` in place of a database's name."""
    initdb, control = str(_program("initdb")), str(_program("pg_ctl"))
    folder = Path(tempfile.mkdtemp(prefix="edgekit-pg-", dir="/tmp"))  # a socket's path may have 107 bytes
    if _owner():
        shutil.chown(folder, **_owner())
    data = str(folder / "data")
    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=40"
    try:
        _run(folder, initdb, "--pgdata", data, "--auth=trust", "--username=edgekit", "--no-sync")
        _run(folder, control, "start", "--pgdata", data, "-w", "-o", settings, "-l", str(folder / "log"))
        yield f"postgresql://edgekit@/{{database}}?host={folder}"
    finally:
        _run(folder, control, "stop", "--pgdata", data, "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server for all tests."""
    if reason := missing():
        pytest.skip(reason)
    with server() as url:
        yield url


def _run(folder: Path, *argv: str) -> None:
    """Run one of the server's programs; nobody hears its output, since the server would keep a pipe open."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, cwd=folder, **_owner())


@pytest.fixture
def postgres_url(postgres_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    import psycopg

    name = f"test_{abs(hash(request.node.nodeid)):x}"
    admin = postgres_server.format(database="postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield postgres_server.format(database=name)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
