"""Runs on an MLflow tracking server: parameters, metrics and the run itself (https://mlflow.org/docs/latest/tracking)."""

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from edgekit.errors import UsageError
from edgekit.report import Figures

_QUIET: Final = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow sends usage data, retries for minutes and prints to standard output, unless these say otherwise."""

_PASSWORD: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""The user and password of a URL (RFC 3986, 3.2.1), wherever a message shows them."""


def log_run(item: Figures, *, uri: str, experiment: str) -> str:
    """Log a run; gives MLflow's id of it.

    Args:
        item: The run.
        uri: The tracking server, such as `http://127.0.0.1:5000`.
        experiment: The experiment's name; made where there is none.

    Raises:
        UsageError: mlflow-skinny is missing, no server is named, or it refuses or cannot be reached.
    """
    if not uri.strip():  # MLflow would make a database in the current folder
        raise UsageError("No tracking server is named.", hint="Write its URL, such as http://127.0.0.1:5000.")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise UsageError("Logging to MLflow needs its client.", hint="pip install mlflow-skinny") from None
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        where = found.experiment_id if found else client.create_experiment(experiment)
        run = client.create_run(where, run_name=item.run.artifact.name, tags={"edgekit.run": item.run.id})
        parameters = [Param(key, str(value)) for key, value in _parameters(item).items()]
        metrics = [Metric(key, value, run.info.start_time, 0) for key, value in _metrics(item).items()]
        with _ended(client, run.info.run_id):
            client.log_batch(run.info.run_id, params=parameters, metrics=metrics)
            client.log_dict(run.info.run_id, msgspec.to_builtins(item.run), "run.json")
    except MlflowException as error:
        reason = _PASSWORD.sub("***", f"{uri} did not take the run: {str(error).splitlines()[0]}")
        raise UsageError(reason, hint="Is the tracking server there?") from None
    return str(run.info.run_id)


@contextmanager
def _ended(client: Any, run_id: str) -> Iterator[None]:
    """End a run of MLflow's: one that was logged by half is marked as failed there, not left running."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except BaseException:
        with suppress(MlflowException):  # the server may be gone; what went wrong first is what counts
            client.set_terminated(run_id, status="FAILED")
        raise
    client.set_terminated(run_id)


def _parameters(item: Figures) -> dict[str, Any]:
    run = item.run
    return {
        "artifact": run.artifact.name,
        "artifact_id": run.artifact.id,
        "format": run.artifact.format,
        "precision": run.artifact.precision,
        "device": run.device,
        "target": run.target,
        "kind": run.environment.kind,
        "cpu": run.environment.cpu,
        "runtime": run.runtime,
        "delegate": run.delegate,
        "mode": run.schedule.mode,
        "threads": run.schedule.threads,
        "verdict": item.verdict.kind,
    }


def _metrics(item: Figures) -> dict[str, float]:
    summary, artifact = item.summary, item.run.artifact
    ci = summary.median_ci
    nanoseconds = {
        "median_ms": summary.median_ns,
        "median_low_ms": ci.low_ns if ci else None,
        "median_high_ms": ci.high_ns if ci else None,
        "p90_ms": summary.p90_ns,
        "p95_ms": summary.p95_ns,
        "p99_ms": summary.p99_ns,
        "load_ms": item.load_ns,
        "first_ms": item.first_ns,
    }
    metrics = {name: value / 1e6 for name, value in nanoseconds.items() if value is not None}
    metrics |= {"peak_memory_mb": item.peak_rss_bytes / 1e6, "model_mb": artifact.model_bytes / 1e6}
    metrics |= {} if artifact.accuracy is None else {"accuracy": artifact.accuracy}
    sqnr_db = item.sqnr_db
    # No server takes what is endless.
    return metrics if sqnr_db is None or math.isinf(sqnr_db) else metrics | {"sqnr_db": sqnr_db}
