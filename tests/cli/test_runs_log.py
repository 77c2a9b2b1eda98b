"""`edgekit runs log`: runs on a real MLflow tracking server."""

import json
import socket

import pytest

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
    assert there.info.status == "FINISHED"
    assert [item.path for item in client.list_artifacts(logged[run.id])] == ["run.json"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_server_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, within seconds."""
    pytest.importorskip("mlflow")
    run = make_run()
    open_store().record(run)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert main(["runs", "log", run.id, "--mlflow", nobody]) == 2
    assert "did not take the run" in capsys.readouterr().err
