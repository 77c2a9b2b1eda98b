"""`edgekit runs`: what is listed, and how runs get from store to store and out of it."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgekit.run import CpuState, OperatorTime, Run, TracePoint
from edgekit.store import database, open_store, transfer
from edgekit_cli.commands import runs_transfer
from edgekit_cli.main import INTERRUPTED, main
from fakes import make_repetition, make_run


def made_on(day: int, **changes: object) -> Run:
    """A run of a day in January."""
    return make_run([day, 2 * day], id=f"202601{day:02}-run", created=f"2026-01-{day:02}T00:00:00.000Z", **changes)  # type: ignore[arg-type]  # passed on


@pytest.fixture
def runs() -> list[Run]:
    """Three stored runs."""
    made = [made_on(day) for day in (1, 2, 3)]
    open_store().add(made)
    return made


def test_listings_are_narrowed(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    """By time and name, in JSON and for people."""
    assert main(["runs", "list", "--since", "2026-01-02", "--json"]) == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)["runs"]] == [runs[2].id, runs[1].id]
    assert main(["runs", "list", "--artifact", "other"]) == 0
    assert "No stored run is like that." in capsys.readouterr().out
    assert main(["runs", "list", "--since", "1d"]) == 0
    assert runs[0].id not in capsys.readouterr().out


def test_an_empty_store_says_how_to_fill_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Rather than nothing."""
    assert main(["runs", "list"]) == 0
    assert "No runs are stored yet; `edgekit bench`" in capsys.readouterr().out


def test_what_is_exported_is_imported_elsewhere_the_same(
    runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole; the second time nothing is new."""
    file, other = tmp_path / "runs.jsonl", str(tmp_path / "other.sqlite")
    assert main(["runs", "export", "-o", str(file)]) == 0
    assert main(["runs", "import", str(file), "--store", other]) == 0
    assert "3 new, 0 there already" in capsys.readouterr().out
    assert list(open_store(other).every()) == runs[::-1]
    assert main(["runs", "import", str(file), "--store", other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"new": 0, "known": 3}


def test_tables_have_a_row_for_each_sample(runs: list[Run], tmp_path: Path) -> None:
    """The same in CSV and in Parquet."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table, columns = tmp_path / "runs.csv", tmp_path / "runs.parquet"
    assert main(["runs", "export", "--as", "csv", "-o", str(table)]) == 0
    assert main(["runs", "export", "--as", "parquet", "-o", str(columns)]) == 0
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 3 * 2
    assert (rows[1]["run"], rows[1]["process"], rows[1]["sample"], rows[1]["latency_ns"]) == (runs[2].id, "0", "1", "6")
    read = parquet.read_table(columns).to_pylist()
    assert [{key: str(value) for key, value in row.items()} for row in read] == rows


def test_row_groups_hold_many_runs(runs: list[Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A group for each would be all overhead; a file is read in groups, so that they are not endless either."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for least, groups in ((transfer.ROW_GROUP, 1), (7, 2), (6, 3)):
        monkeypatch.setattr(transfer, "ROW_GROUP", least)
        with (tmp_path / "runs.parquet").open("wb") as stream:
            assert transfer.export_parquet(runs, stream) == 3
        assert parquet.ParquetFile(tmp_path / "runs.parquet").num_row_groups == groups


@pytest.mark.parametrize(("kind", "size"), [("json", 0), ("csv", 1), ("parquet", 1)])
def test_an_empty_store_is_exported_as_no_rows(kind: str, size: int, tmp_path: Path) -> None:
    """A table keeps its header."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    assert main(["runs", "export", "--as", kind, "-o", str(tmp_path / "runs")]) == 0
    assert len((tmp_path / "runs").read_bytes().splitlines()) >= size


@pytest.mark.usefixtures("runs")
def test_parquet_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves no file."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["runs", "export", "--as", "parquet", "-o", str(tmp_path / "runs.parquet")]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_an_interrupted_export_leaves_what_was_there(
    kind: str, runs: list[Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C after the first run: the file of before is whole, and no other lies beside it."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")

    def interrupted(_: object) -> Iterator[Run]:
        yield runs[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(database._DatabaseStore, "every", interrupted)
    file = tmp_path / "runs.out"
    file.write_text("of before")
    assert main(["runs", "export", "--as", kind, "-o", str(file)]) == INTERRUPTED
    assert file.read_text() == "of before"
    assert list(tmp_path.iterdir()) == [file]


def test_runs_are_imported_from_a_pipe(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As from a file: a damaged line changes nothing there either."""
    file, other = tmp_path / "runs.jsonl", str(tmp_path / "other.sqlite")
    main(["runs", "export", "-o", str(file)])
    for text, code in ((file.read_bytes() + b"{\n", 2), (file.read_bytes(), 0)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        assert open_store(other).runs() == []
        assert main(["runs", "import", "-", "--store", other]) == code
    assert "standard input, line 4: This is no run" in capsys.readouterr().err
    assert list(open_store(other).every()) == runs[::-1]


def test_an_import_goes_from_batch_to_batch(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was kept of one before a contradiction stays, and is passed over the next time."""
    monkeypatch.setattr(transfer, "BATCH", 2)
    file, other = tmp_path / "runs.jsonl", str(tmp_path / "other.sqlite")
    main(["runs", "export", "-o", str(file)])
    open_store(other).record(made_on(1, target="else"))
    assert main(["runs", "import", str(file), "--store", other]) == 2
    assert f"another run {runs[0].id}" in capsys.readouterr().err
    open_store(other).delete([runs[0].id])
    assert main(["runs", "import", str(file), "--store", other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"new": 1, "known": 2}


def test_one_run_goes_to_standard_output(runs: list[Run], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """For a pipe."""
    assert main(["runs", "export", runs[0].id, "-o", "-"]) == 0
    (line,) = capsysbinary.readouterr().out.splitlines()
    assert json.loads(line)["id"] == runs[0].id


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 2: This is no run"),
        ("{}", "line 2: This is no run"),
        ("[]", "line 2: This is no run"),
        ('{"run_version": 999}', "line 2: The run has version 999"),
        ("\xff", "line 2: This is no run"),
    ],
)
def test_a_damaged_file_changes_nothing(
    runs: list[Run], text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even for the good line before; the bad one is named."""
    file, other = tmp_path / "runs.jsonl", str(tmp_path / "other.sqlite")
    main(["runs", "export", runs[0].id, "-o", str(file)])
    file.write_bytes(file.read_bytes() + text.encode("latin-1") + b"\n")
    assert main(["runs", "import", str(file), "--store", other]) == 2
    assert reason in capsys.readouterr().err
    assert open_store(other).runs() == []


@pytest.mark.parametrize(
    ("samples", "reason"),
    [("-1,5", "no latency"), (f"{2**63}", "no latency"), ("", "no samples"), ("1.5", "This is no run")],
)
def test_samples_that_are_no_latencies_are_refused(
    samples: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is kept."""
    file = tmp_path / "runs.jsonl"
    text = msgspec.json.encode(make_run([7])).replace(b"[7]", f"[{samples}]".encode())
    file.write_bytes(text)
    assert main(["runs", "import", str(file)]) == 2
    assert "line 1" in (told := capsys.readouterr().err)
    assert reason in told
    assert open_store().runs() == []


def test_a_contradiction_is_refused(runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same id, other samples."""
    file = tmp_path / "runs.jsonl"
    main(["runs", "export", runs[0].id, "-o", str(file)])
    file.write_text(file.read_text().replace('"target":"host"', '"target":"else"'))
    assert main(["runs", "import", str(file)]) == 2
    assert "The store has another run" in capsys.readouterr().err


def test_pruning_asks_and_keeps(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing goes without a word; `--keep` saves the newest."""
    assert main(["runs", "prune", "--older-than", "2026-01-03"]) == 2
    assert "2 runs of 2026-01-01 to 2026-01-02 would be forgotten" in capsys.readouterr().err
    assert main(["runs", "prune", "--older-than", "1d", "--keep", "2", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"forgotten": [runs[0].id]}
    assert [item.id for item in open_store().runs()] == [runs[2].id, runs[1].id]


@pytest.mark.parametrize(("answer", "left"), [("y", 1), ("n", 3)])
def test_pruning_names_what_will_go_and_asks(
    answer: str, left: int, runs: list[Run], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal; no is an answer."""
    monkeypatch.setattr(runs_transfer, "_SHOWN", 1)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer)
    assert main(["runs", "prune", "--older-than", "2026-01-03"]) == (0 if answer == "y" else INTERRUPTED)
    told = capsys.readouterr().out
    assert runs[1].id in told
    assert runs[0].id not in told
    assert "and 1 older" in told
    assert len(open_store().runs()) == left


def test_pruning_for_machines_never_asks(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing goes without --yes; nothing to forget is no failure."""
    assert main(["runs", "prune", "--older-than", "2026-01-02", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["cause"] == "1 run of 2026-01-01 would be forgotten."
    assert main(["runs", "prune", "--older-than", "2025-01-01"]) == 0
    assert "0 runs forgotten." in capsys.readouterr().out
    assert len(open_store().runs()) == len(runs)


def test_what_differs_between_two_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The likeliest explanation first."""
    store = open_store()
    store.record(make_run(id="base", environment={"after": CpuState(frequency_hz=(1_500_000_000,))}))
    store.record(make_run(id="new", environment={"after": CpuState(frequency_hz=(600_000_000,)), "python": "3.12.1"}))
    assert main(["runs", "diff", "base", "new"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.match("likely: clock: 1500 MHz → 600 MHz", first)
    assert second.startswith("unlikely: Python: 3.11.2 → 3.12.1")
    assert main(["runs", "diff", "base", "base", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"differences": []}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["list", "--since", "yesterday"], "write 2026-01-31 or 7d"),
        (["list", "--since", "999999d"], "write 2026-01-31 or 7d"),
        (["show", "none"], "There is no run none"),
        (["export", "none", "-o", "x"], "There is no run none"),
        (["export", "-o", "/proc/none/x"], "Cannot write to"),
        (["import", "/none"], "does not exist"),
        (["import", "."], "is a directory"),
        (["export", "-o", "x", "--as", "xml"], "'xml' is not one of"),
        (["log", "none", "--mlflow", "http://127.0.0.1:1"], "There is no run none"),
        (["prune"], "Missing option '--older-than'"),
    ],
)
def test_bad_requests_are_refused(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, and no file is left."""
    monkeypatch.chdir(tmp_path)
    assert main(["runs", *arguments]) == 2
    assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_sustained_run_tells_its_course(capsys: pytest.CaptureFixture[str]) -> None:
    """Temperature and clock from beginning to end, where the device tells them; and where the time went."""
    points = [TracePoint(seconds=s, samples=1, temperature_c=40.0 + s, frequency_hz=1_800_000_000) for s in (0, 9, 20)]
    repetition = msgspec.structs.replace(make_repetition(range(100, 200)), trace=tuple(points))
    operators = (OperatorTime(name="conv", calls=2, self_ns=750), OperatorTime(name="relu", calls=1, self_ns=250))
    open_store().record(make_run(id="hot", repetitions=(repetition,), operators=operators))
    assert main(["runs", "show", "hot", "--plot"]) == 0
    shown = capsys.readouterr().out
    assert "40 → 60 °C (40 to 60), 1800 → 1800 MHz" in shown
    assert re.search(r"conv +2\.0x +0\.0008 ms +75\.0%", shown)
