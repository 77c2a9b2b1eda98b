"""`edgekit bench` and `edgekit runs`: this machine as the device, and what stays of it."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.artifact import Artifact, load_artifact, write_manifest
from edgekit.store import open_store
from edgekit_cli.main import main
from fakes import make_run

MakeArtifact = Callable[..., Artifact]

SHORT = ("--min-time", "0.02", "--repeat", "2")


@pytest.fixture
def artifact(make_artifact: MakeArtifact, linear_tflite: Path) -> Artifact:
    """One fully connected layer, in TFLite."""
    return make_artifact(linear_tflite)


def _short(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, its line breaks apart."""
    return " ".join(capsys.readouterr().out.split())


def test_what_goes_into_other_firmware_is_not_measured(
    make_artifact: MakeArtifact, linear_tflite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is sent, with what can be measured in its place."""
    folder = make_artifact(linear_tflite).path
    manifest = load_artifact(folder).manifest
    write_manifest(folder, msgspec.structs.replace(manifest, format="tflm"))
    assert main(["bench", str(folder), *SHORT]) == 2
    assert "firmware of your own" in capsys.readouterr().err


def test_a_run_is_printed_and_stored(artifact: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    """The table, how and where it was measured, and the same run again from the store."""
    assert main(["bench", str(artifact.path), *SHORT]) == 0
    shown = _short(capsys)
    assert "tflite fp32" in shown
    assert "in 2 fresh processes each" in shown
    (stored,) = open_store().runs()
    assert (stored.artifact, stored.format, stored.device) == ("linear", "tflite", "local:")
    assert main(["runs", "list"]) == 0
    assert stored.id in capsys.readouterr().out
    assert main(["runs", "show", stored.id[:-3]]) == 0
    assert f"run {stored.id}" in _short(capsys)


def test_json_holds_figures_environment_and_on_demand_every_sample(
    artifact: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """For machines."""
    assert main(["bench", str(artifact.path), *SHORT, "--threads", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (run,) = told["runs"]
    assert run["run"]["schedule"]["threads"] == 2
    assert run["run"]["golden"]["passed"] is True
    assert run["summary"]["median_ns"] > 0
    assert told["recommendations"]["local:"]["run_id"] == run["id"]
    assert main(["runs", "show", run["id"], "--json", "--samples"]) == 0
    shown = json.loads(capsys.readouterr().out)
    counts = [len(item["samples_ns"]) for item in shown["run"]["repetitions"]]
    assert sum(counts) == run["summary"]["count"]


def test_an_artifact_that_differs_here_fails_its_check_and_stops_no_other(
    make_artifact: MakeArtifact, linear_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, no figure for it; with --no-check it is measured and marked."""
    good = make_artifact(linear_tflite)
    other = tmp_path / "other.tflite"
    other.write_bytes(linear_tflite.read_bytes())
    wrong = make_artifact(other, golden=lambda x: np.zeros((1, 3), np.float32) + x[0, 0])
    assert main(["bench", str(wrong.path), str(good.path), *SHORT]) == 1
    shown = _short(capsys)
    assert "other-tflite.edgekit gives other outputs on local: than its source" in shown
    assert "--no-check" in shown
    assert len(open_store().runs()) == 1
    assert main(["bench", str(wrong.path), *SHORT, "--no-check"]) == 0
    assert "failed" in _short(capsys)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--threads", "0"], "'0' is no list of numbers"),
        (["--threads", "1,two"], "is no list of numbers"),
        (["--repeat", "0"], "repeat is 0"),
        (["--min-time", "-1"], "'-1' is no duration"),
        (["--min-time", "nan"], "'nan' is no duration"),
        (["--period", "10parsecs"], "write 33ms, 1.5s or 5min"),
        (["--period", "0"], "Burst mode needs a period"),
        (["--precision-goal", "1"], "write 1% or 0.5%"),
        (["--precision-goal", "0%"], "must be above 0 %"),
        (["--cold", "--period", "33ms"], "--period and --cold are different ways"),
        (["--paired"], "takes two artifacts"),
        (["--target", "raspberrypie"], "no target 'raspberrypie'"),
        (["--device", "lokal:"], "No transport reaches lokal:"),
        (["--device", "nonsense"], "There is no device"),
        (["--store", "nosuch://x"], "no such kind of store"),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(
    arguments: list[str], reason: str, artifact: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with what is wrong."""
    assert main(["bench", str(artifact.path), *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_damaged_artifact_is_refused_before_the_others_are_measured(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file and what is wrong with it."""
    assert main(["bench", str(artifact.path), str(tmp_path / "none.edgekit")]) == 2
    assert "There is no artifact" in capsys.readouterr().err
    artifact.model.write_bytes(b"rotten")
    assert main(["bench", str(artifact.path)]) == 2
    assert "is damaged" in capsys.readouterr().err
    assert open_store().runs() == []


def test_stored_runs_are_listed_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    """What was emulated is said to be."""
    assert main(["runs", "list"]) == 0
    assert "No runs are stored yet" in capsys.readouterr().out
    store = open_store()
    store.record(make_run(id="20260101T0", created="2026-01-01"))
    store.record(make_run(id="20260102T0", created="2026-01-02", environment={"kind": "emulated"}))
    assert main(["runs", "list"]) == 0
    newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.startswith("20260102T0")
    assert newest.endswith("emulated")
    assert oldest.startswith("20260101T0")
    assert main(["runs", "list", "--limit", "1", "--json"]) == 0
    assert [item["id"] for item in json.loads(capsys.readouterr().out)["runs"]] == ["20260102T0"]
    assert main(["runs", "list", "--limit", "0"]) == 2
    assert main(["runs", "show", "2027"]) == 2
    assert "There is no run 2027" in capsys.readouterr().err
