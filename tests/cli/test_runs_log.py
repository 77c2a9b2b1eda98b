"""`edgekit runs log`: runs on a real MLflow tracking server."""

import json
import socket
import sys
from pathlib import Path

import pytest

from edgekit import mlflow_log
from edgekit.report import figures
from edgekit.run import GoldenCheck
from edgekit.store import open_store
from edgekit_cli.main import main
from fakes import make_run


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_run_is_logged_with_parameters_metrics_and_itself(
    mlflow_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a team that tracks experiments looks at, and the run as run.json."""
    run = make_run(processes=5)
    open_store().record(run)
    assert main(["runs", "log", run.id, "--mlflow", mlflow_server, "--experiment", "boards", "--json"]) == 0
    logged = json.loads(capsys.readouterr().out)["logged"]

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_server)
    there = client.get_run(logged[run.id])
    assert there.data.params["device"] == "local:"
    assert there.data.metrics["median_ms"] == pytest.approx(1.0000495)
    assert there.data.metrics["accuracy"] == 0.9
    assert there.data.metrics["sqnr_db"] == pytest.approx(120)
    assert there.data.metrics["median_low_ms"] <= there.data.metrics["median_ms"] <= there.data.metrics["p90_ms"]
    assert there.info.status == "FINISHED"
    assert [item.path for item in client.list_artifacts(logged[run.id])] == ["run.json"]


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_run_that_was_logged_by_half_is_marked_as_failed(
    mlflow_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the server; it is not left there as running."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(*_: object) -> None:
        raise MlflowException("no room for artifacts")

    monkeypatch.setattr(MlflowClient, "log_dict", refuse)
    open_store().record(make_run())
    assert main(["runs", "log", make_run().id, "--mlflow", mlflow_server, "--experiment", "halves"]) == 2
    assert "did not take the run: no room for artifacts" in capsys.readouterr().err
    client = MlflowClient(tracking_uri=mlflow_server)
    experiment = client.get_experiment_by_name("halves")
    assert experiment is not None
    (there,) = client.search_runs([experiment.experiment_id])
    assert there.info.status == "FAILED"


@pytest.mark.parametrize(
    ("golden", "expected_db"), [(1e-3, 60.0), (0.0, None), (None, None), (float("inf"), None), (float("nan"), None)]
)
def test_an_sqnr_that_is_no_number_is_left_out(golden: float | None, expected_db: float | None) -> None:
    """Outputs that are equal have an endless one, and those that are not finite none."""
    check = GoldenCheck(passed=True, relative_rms=golden, max_error=1.0, vectors=8)
    metrics = mlflow_log._metrics(figures(make_run(golden=check)))
    assert metrics.get("sqnr_db") == (None if expected_db is None else pytest.approx(expected_db))


@pytest.mark.parametrize("uri", ["", " "])
def test_no_server_is_no_place_to_log_to(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MLflow would make a database in the current folder, which nobody asked for."""
    monkeypatch.chdir(tmp_path)
    open_store().record(make_run())
    assert main(["runs", "log", make_run().id, "--mlflow", uri]) == 2
    assert "No tracking server is named" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_client_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the package that has it."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    open_store().record(make_run())
    assert main(["runs", "log", make_run().id, "--mlflow", "http://127.0.0.1:1"]) == 2
    assert "pip install mlflow-skinny" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_server_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, within seconds, and without the password of its URL."""
    pytest.importorskip("mlflow")
    run = make_run()
    open_store().record(run)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://me:secret@127.0.0.1:{free.getsockname()[1]}"
    assert main(["runs", "log", run.id, "--mlflow", nobody]) == 2
    told = capsys.readouterr().err
    assert "did not take the run" in told
    assert "secret" not in told
