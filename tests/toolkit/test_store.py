"""What was measured stays as it was measured, and a store that cannot keep it says so."""

import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from edgekit.errors import UsageError
from edgekit.protocols import RunQuery
from edgekit.store import STORE_VERSION, database, open_store
from fakes import make_run


def test_a_run_comes_back_whole(tmp_path: Path) -> None:
    """Every sample of every process, and everything around them."""
    run = make_run([5, 3, 2**40])
    store = open_store(str(tmp_path / "runs.sqlite"))
    assert store.record(run) == run.id
    assert open_store(str(tmp_path / "runs.sqlite")).load(run.id) == run


def test_without_a_url_it_is_a_file_in_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`EDGEKIT_STORE` moves it."""
    open_store().record(make_run())
    assert (Path(os.environ["EDGEKIT_DATA"]) / "runs.sqlite").is_file()
    monkeypatch.setenv("EDGEKIT_STORE", f"sqlite:///{tmp_path}/elsewhere.sqlite")
    assert open_store().runs() == []
    assert (tmp_path / "elsewhere.sqlite").is_file()


def test_listings_are_newest_first_and_hold_no_samples(tmp_path: Path) -> None:
    """The newest `limit` of them, with the median over all processes."""
    store = open_store(str(tmp_path / "runs.sqlite"))
    for day in (2, 3, 1):
        store.record(make_run([10, 20, 60], id=f"2026010{day}", created=f"2026-01-0{day}T00:00:00.000Z"))
    listed = store.runs(RunQuery(limit=2))
    assert [item.id for item in listed] == ["20260103", "20260102"]
    assert (listed[0].median_ns, listed[0].samples, listed[0].kind) == (20, 9, "physical")


def test_the_beginning_of_an_id_is_enough_when_it_is_clear(tmp_path: Path) -> None:
    """Otherwise the candidates are named; a whole id always is clear."""
    store = open_store(str(tmp_path / "runs.sqlite"))
    for name in ("abc", "abcd", "xyz"):
        store.record(make_run(id=name))
    assert store.load("x").id == "xyz"
    assert store.load("abc").id == "abc"
    with pytest.raises(UsageError, match="Several runs begin with ab: abc, abcd"):
        store.load("ab")
    for wrong in ("nope", "%", "_bc"):
        with pytest.raises(UsageError, match="There is no run"):
            store.load(wrong)


def test_a_run_is_kept_once(tmp_path: Path) -> None:
    """The same id again is refused, and the first stays as it was."""
    store = open_store(str(tmp_path / "runs.sqlite"))
    store.record(make_run([1]))
    with pytest.raises(UsageError, match="cannot be used"):
        store.record(make_run([2]))
    assert store.load(make_run().id).repetitions[0].samples_ns == (1,)


@pytest.mark.parametrize("url", ["nosuch://host/x", "postgresql+nosuch://host/x", "://"])
def test_a_url_of_no_database_is_refused(url: str) -> None:
    """With a hint how one looks."""
    with pytest.raises(UsageError, match="no such kind of store"):
        open_store(url)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    """A file of something else, a folder, a place nobody can write to."""
    (tmp_path / "notes.txt").write_text("these are my notes, " * 100)
    for place, reason in ((tmp_path / "notes.txt", "not a database"), (tmp_path, "unable to open")):
        with pytest.raises(UsageError, match=reason):
            open_store(str(place))
    with pytest.raises(UsageError, match="Cannot make the folder"):
        open_store(str(tmp_path / "notes.txt" / "runs.sqlite"))
    assert (tmp_path / "notes.txt").read_text().startswith("these are my notes")


@pytest.mark.parametrize("scheme", ["postgresql+pg8000", "postgresql+nosuch", "nosuch"])
def test_a_password_is_never_shown(scheme: str) -> None:
    """Whatever is wrong: a driver that is missing, a database that does not exist."""
    with pytest.raises(UsageError) as caught:
        open_store(f"{scheme}://me:secret@127.0.0.1:1/runs")
    assert "secret" not in caught.value.cause + caught.value.hint


def test_a_store_of_a_newer_edgekit_is_refused(tmp_path: Path) -> None:
    """Rather than misread."""
    open_store(str(tmp_path / "runs.sqlite"))
    with sqlite3.connect(tmp_path / "runs.sqlite") as connection:
        connection.execute("UPDATE edgekit_store SET version = ?", [STORE_VERSION + 1])
    connection.close()
    with pytest.raises(UsageError, match=f"version {STORE_VERSION + 1}"):
        open_store(str(tmp_path / "runs.sqlite"))


def _record(place: str, number: int) -> None:
    open_store(place).record(make_run(id=f"run-{number}"))


def test_many_processes_record_into_one_new_store(tmp_path: Path) -> None:
    """Nobody's run is lost, even while the store is being made."""
    place = str(tmp_path / "runs.sqlite")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(_record, [(place, number) for number in range(12)])
    assert len(open_store(place).runs()) == 12


def test_a_deleted_run_s_space_is_given_back(tmp_path: Path) -> None:
    """The file shrinks."""
    place = tmp_path / "runs.sqlite"
    store = open_store(str(place))
    noise = random.Random(1)  # noqa: S311 - samples that do not compress
    for name in ("a", "b"):
        store.record(make_run([noise.getrandbits(62) for _ in range(20_000)], id=name))
    before = place.stat().st_size
    store.delete(["a"])
    assert place.stat().st_size < 0.7 * before


def test_a_writer_beside_it_does_not_undo_a_deletion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file cannot shrink then, which is no failure: the next runs use the space."""
    monkeypatch.setattr(database, "_BUSY_S", 0.1)
    store = open_store(str(tmp_path / "runs.sqlite"))
    store.record(make_run())
    vacuum = database._vacuum

    def beside_a_writer(engine: sa.Engine) -> None:
        with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            vacuum(engine)

    monkeypatch.setattr(database, "_vacuum", beside_a_writer)
    store.delete([make_run().id])
    assert store.runs() == []


def test_readers_do_not_wait_for_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write-ahead log shows them what was there before."""
    monkeypatch.setattr(database, "_BUSY_S", 0.1)
    store = open_store(str(tmp_path / "runs.sqlite"))
    store.record(make_run())
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert len(open_store(str(tmp_path / "runs.sqlite")).runs()) == 1
        with pytest.raises(UsageError, match="database is locked"):
            store.record(make_run(id="other"))


class _WithoutSharedMemory(sqlite3.Connection):
    """SQLite on a file system that has no write-ahead log."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if "WAL" in sql:
            raise sqlite3.OperationalError("locking protocol")
        return super().execute(sql, *values)


def test_a_file_system_without_a_write_ahead_log_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have none; SQLite's own journal serves, in silence."""
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(sqlite3.dbapi2, "connect", partial(connect, factory=_WithoutSharedMemory))
    store = open_store(str(tmp_path / "runs.sqlite"))
    store.record(make_run())
    assert store.load(make_run().id) == make_run()
    with closing(connect(tmp_path / "runs.sqlite")) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_new_store_and_a_present_one_open_without_alembic(tmp_path: Path) -> None:
    """Importing it takes longer than most commands do."""
    program = (
        "import sys; from edgekit.store import open_store; "
        "open_store(sys.argv[1]); open_store(sys.argv[1]); print('alembic' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "runs.sqlite")], check=True, capture_output=True, text=True
    )
    assert told.stdout == "False\n"
