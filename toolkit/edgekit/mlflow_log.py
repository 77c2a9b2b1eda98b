"""Runs on an MLflow tracking server: parameters, metrics and the run itself (https://mlflow.org/docs/latest/tracking)."""

import os
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


def log_run(item: Figures, *, uri: str, experiment: str) -> str:
    """Log a run; gives MLflow's id of it.

    Args:
        item: The run.
        uri: The tracking server, such as `http://127.0.0.1:5000`.
        experiment: The experiment's name; made where there is none.

    Raises:
        UsageError: mlflow-skinny is missing, or the server refuses or cannot be reached.
    """
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
        client.log_batch(
            run.info.run_id,
            params=[Param(key, str(value)) for key, value in _parameters(item).items()],
            metrics=[Metric(key, value, run.info.start_time, 0) for key, value in _metrics(item).items()],
        )
        client.log_dict(run.info.run_id, msgspec.to_builtins(item.run), "run.json")
        client.set_terminated(run.info.run_id)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{uri} did not take the run: {reason}", hint="Is the tracking server there?") from None
    return str(run.info.run_id)


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
    return metrics if artifact.accuracy is None else metrics | {"accuracy": artifact.accuracy}
