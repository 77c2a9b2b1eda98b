"""`edgekit report` and `edgekit runs show --plot`: from the store to what people look at."""

import json
import sys
from pathlib import Path

import pytest

from edgekit.store import open_store
from edgekit_cli.main import main
from fakes import make_run


@pytest.fixture(autouse=True)
def _stored() -> None:
    store = open_store()
    for run_id, device in (("2026-a1", "local:"), ("2026-a2", "local:"), ("2026-b1", "ssh://board")):
        store.record(make_run(id=run_id, device=device))


def test_stored_runs_become_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unambiguous beginnings of ids are enough; a run named twice is in it once."""
    path = tmp_path / "new" / "report.html"
    assert main(["report", "2026-a1", "2026-a2", "2026-a1", "-o", str(path)]) == 0
    assert "2 runs" in capsys.readouterr().out
    assert "edgekit report 2026-a1 2026-a2 -o report.html" in path.read_text("utf-8")


def test_the_report_lands_in_the_current_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`report.html`; an older one is replaced."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.html").write_text("old")
    assert main(["report", "2026-b"]) == 0
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_json_tells_the_file_and_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts."""
    path = tmp_path / "report.html"
    assert main(["report", "2026-a1", "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(path), "bytes": path.stat().st_size}


def test_several_devices_need_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mixing devices is asked for in words."""
    path = tmp_path / "report.html"
    arguments = ["report", "2026-a1", "2026-b1", "-o", str(path)]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "local: (physical), ssh://board (physical)" in told
    assert "--force" in told
    assert not path.exists()
    assert main([*arguments, "--force"]) == 0
    assert "2 different devices" in path.read_text("utf-8")


def test_an_unknown_run_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written."""
    assert main(["report", "1999"]) == 2
    assert "There is no run 1999" in capsys.readouterr().err


def test_show_plots_within_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """The distribution and the course of latency, their axes with units, without colour codes."""
    store = open_store()
    store.record(make_run([*range(1_000_000, 1_000_500), 90_000_000], id="2026-c1"))
    assert main(["runs", "show", "2026-c1", "--plot"]) == 0
    shown = capsys.readouterr().out
    plots = shown[shown.index("Share of inferences") :]
    assert "latency, ms" in plots
    assert "inference, in order over 3 processes" in plots
    assert "Outside: 3 of 1,503 inferences, the slowest 90.0 ms." in plots
    assert "\x1b" not in plots
    assert max(len(line) for line in plots.splitlines()) <= 80


@pytest.mark.parametrize("samples", [[1_000_000], [1_000_000] * 50], ids=["one sample", "all equal"])
def test_samples_that_do_not_spread_are_plotted_too(samples: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    """An axis of no length is no crash."""
    open_store().record(make_run(samples, processes=1, id="2026-d1"))
    assert main(["runs", "show", "2026-d1", "--plot"]) == 0
    assert "latency, ms" in capsys.readouterr().out


def test_a_plot_without_plotext_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plot is an extra."""
    monkeypatch.setitem(sys.modules, "plotext", None)
    assert main(["runs", "show", "2026-a1", "--plot"]) == 2
    assert "pip install 'plotext>=6'" in capsys.readouterr().err
