"""Runs that count instructions: never shown as time, nor compared with it."""

from pathlib import Path

import pytest

from edgekit.run import Run, Schedule
from edgekit.store import open_store
from edgekit_cli.main import main
from fakes import make_run

COUNTED = Schedule(clock="instructions", repeat=3)


def record(id_: str, median: int, *, schedule: Schedule = COUNTED, **changes: object) -> Run:
    """Store a run of these, one after the other."""
    run = make_run(range(median, median + 100), id=id_, schedule=schedule, **changes)  # type: ignore[arg-type]  # passed on
    open_store().record(run)
    return run


def output(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    """What a command says on either output."""
    assert main([*argv]) == code
    said = capsys.readouterr()
    return said.out + said.err


def test_they_are_listed_with_their_unit(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside those of time."""
    record("counted", 2_000_000)
    record("timed", 2_000_000, schedule=Schedule(repeat=3))
    lines = output(capsys, "runs", "list").splitlines()
    assert [("Minstr" in line, " ms " in line) for line in sorted(lines)] == [(True, False), (False, True)]


def test_two_percent_more_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing disturbs the count, so that the band is narrow; in words of instructions."""
    record("base", 2_000_000)
    record("more", 2_040_000)
    said = output(capsys, "compare", "base", "more", code=1)
    assert "More instructions: the median changed by +2.0%" in said
    assert "2.00 Minstr" in said
    assert " ms" not in said
    assert "Fewer instructions" in output(capsys, "compare", "more", "base")


def test_less_than_the_band_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """What runs differ by at most."""
    record("base", 2_000_000)
    record("again", 2_004_000)
    assert "The same within the noise band of ±0.5%" in output(capsys, "compare", "base", "again")


def test_instructions_are_not_compared_with_time(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Neither one by one, nor on one page."""
    record("timed", 2_000_000, schedule=Schedule(repeat=3))
    record("counted", 2_000_000)
    said = output(capsys, "compare", "timed", "counted", code=2)
    assert "they are from different clocks, wall and instructions" in said
    page = tmp_path / "page.html"
    assert "others count instructions" in output(capsys, "report", "timed", "counted", "-o", str(page), code=2)
    assert not page.exists()


@pytest.mark.parametrize(
    ("condition", "code", "said"),
    [
        ("p90 > 3 Minstr", 0, "p90 is 2"),
        ("p90 > 1500 kinstr", 1, "FAILED"),
        ("median > +1%", 1, "FAILED"),
        ("p90 > 1 ms", 0, "the run counts instructions, which are no time"),
        ("size > 1 MB", 0, "size is 100 kB"),
    ],
)
def test_a_gate_on_instructions(condition: str, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In their own unit; a limit of time says nothing to them."""
    record("base", 2_000_000)
    record("new", 2_100_000)
    assert said in output(capsys, "compare", "base", "new", "--fail-if", condition, code=code)


def test_a_limit_of_instructions_says_nothing_to_time(capsys: pytest.CaptureFixture[str]) -> None:
    """The other way round."""
    for id_ in ("base", "new"):
        record(id_, 2_000_000, schedule=Schedule(repeat=3))
    said = output(capsys, "compare", "base", "new", "--fail-if", "p90 > 1 Minstr", "--strict", code=1)
    assert "the run tells time" in said


def test_a_report_names_the_unit_everywhere(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Table, charts and recommendation."""
    record("base", 2_000_000, environment={"kind": "emulated"})
    page = tmp_path / "page.html"
    output(capsys, "report", "base", "-o", str(page))
    text = page.read_text()
    assert text.count("<small>Minstr</small>") == 7
    assert "<small>ms</small>" not in text
    assert "Median instructions an inference, Minstr" in text
    assert "2.00 Minstr median" in text


def test_an_export_says_what_it_holds(tmp_path: Path) -> None:
    """In a column of its own."""
    record("base", 2_000_000)
    table = tmp_path / "runs.csv"
    assert main(["runs", "export", "--as", "csv", "-o", str(table)]) == 0
    header, first, *_ = table.read_text().splitlines()
    assert dict(zip(header.split(","), first.split(","), strict=True))["clock"] == "instructions"
