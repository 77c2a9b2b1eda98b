"""`edgekit runs`: what is listed, and how runs get from store to store and out of it."""

import csv
import json
import re
from pathlib import Path

import msgspec
import pytest

from edgekit.run import CpuState, OperatorTime, Run, TracePoint
from edgekit.store import open_store
from edgekit_cli.main import main
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
    assert "No runs are stored yet" in capsys.readouterr().out
    assert main(["runs", "list", "--since", "1d"]) == 0
    assert runs[0].id not in capsys.readouterr().out


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
    assert "2 runs would be forgotten" in capsys.readouterr().err
    assert main(["runs", "prune", "--older-than", "1d", "--keep", "2", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"forgotten": [runs[0].id]}
    assert [item.id for item in open_store().runs()] == [runs[2].id, runs[1].id]


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
