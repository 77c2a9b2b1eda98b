"""What was measured stays as it was measured, and a store that cannot keep it says so."""

import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.protocols import RunQuery
from edgekit.store import STORE_VERSION, open_store
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
