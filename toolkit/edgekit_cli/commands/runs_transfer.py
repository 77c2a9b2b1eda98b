"""`edgekit runs export|import|prune|log`: runs as files, elsewhere, and no more."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

import click

from edgekit_cli.options import JSON, SINCE, STORE

if TYPE_CHECKING:
    from edgekit.protocols import RunSummary
    from edgekit.store.transfer import Kind

_DATE: Final = len("2026-01-31")
"""How much of an ISO 8601 time is its date."""

_SHOWN: Final = 10
"""Runs that are named before they are forgotten; the rest are counted."""


@click.command(short_help="Write runs to a file for other tools.")
@click.argument("run_ids", metavar="[RUN]...", nargs=-1)
@click.option("--as", "kind", type=click.Choice(["json", "csv", "parquet"]), default="json", show_default=True)
@click.option("-o", "--output", required=True, help="The file, or - for standard output.")
@STORE
def export(*, run_ids: tuple[str, ...], kind: str, output: str, store_url: str | None) -> None:
    """Write RUNs, or all, to a file: JSON lines that can be imported again, or a table with a row for each sample.

    \b
    Example:
      edgekit runs export -o runs.jsonl
      edgekit runs export 20260131T0930 --as parquet -o run.parquet
    """
    from edgekit.store import open_store
    from edgekit.store.transfer import EXPORTS
    from edgekit_cli.progress import terminal_progress

    store = open_store(store_url)
    runs = (store.load(run_id) for run_id in run_ids) if run_ids else store.every()
    with terminal_progress().step("Export runs"), _target(output) as stream:
        count = EXPORTS[cast("Kind", kind)](runs, stream)
    click.echo(f"{output}: {_runs(count)}", err=True)


@contextmanager
def _target(output: str) -> Iterator[IO[bytes]]:
    from edgekit.publish import whole_file

    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with whole_file(Path(output)) as file, file.open("wb") as stream:
        yield stream


@click.command("import", short_help="Take runs over from a file.")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@STORE
@JSON
def import_runs(*, path: Path, store_url: str | None, as_json: bool) -> None:
    """Keep the runs of FILE (- for standard input) that `runs export` wrote; those that are there are passed over.

    \b
    Example:
      edgekit runs import runs.jsonl --store postgresql://me@server/edgekit
      ssh lab edgekit runs export -o - | edgekit runs import -
    """
    from edgekit.store import open_store
    from edgekit.store.transfer import import_json, import_stream
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.json import print_json

    store = open_store(store_url)
    with terminal_progress().step("Import runs"):
        added = import_stream(sys.stdin.buffer, store) if str(path) == "-" else import_json(path, store)
    if as_json:
        print_json(added)
    else:
        click.echo(f"{added.new} new, {added.known} there already.")


@click.command(short_help="Forget old runs.")
@click.option("--older-than", "before", type=SINCE, required=True, help="Taken before then: 2026-01-31, or 90d.")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Keep so many of the newest all the same.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@STORE
@JSON
def prune(*, before: str, keep: int, yes: bool, store_url: str | None, as_json: bool) -> None:
    """Forget runs taken long ago, with all their samples.

    \b
    Example:
      edgekit runs prune --older-than 90d --keep 100
    """
    from edgekit.errors import UsageError
    from edgekit.protocols import RunQuery
    from edgekit.store import open_store
    from edgekit_cli.render.json import print_json

    store = open_store(store_url)
    kept = {run.id for run in store.runs(RunQuery(limit=keep))} if keep else set()
    old = [run for run in store.runs(RunQuery(before=before, limit=None)) if run.id not in kept]
    if old and not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError(f"{_told(old)} would be forgotten.", hint="Say so with --yes.")
        _print_some(old)
        click.confirm(f"Forget {_told(old)}, with all samples?", abort=True)
    if old:
        store.delete([run.id for run in old])
    if as_json:
        print_json({"forgotten": [run.id for run in old]})
    else:
        click.echo(f"{_told(old)} forgotten.")


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def _told(runs: "Sequence[RunSummary]") -> str:
    """How many they are and when they were taken; they are sorted newest first."""
    if not runs:
        return _runs(0)
    first, last = runs[-1].created[:_DATE], runs[0].created[:_DATE]
    return f"{_runs(len(runs))} of {first}" + ("" if first == last else f" to {last}")


def _print_some(runs: "Sequence[RunSummary]") -> None:
    """The newest of what will go: the ones that somebody may still want."""
    from edgekit_cli.render.runs import print_summaries

    print_summaries(runs[:_SHOWN])
    if len(runs) > _SHOWN:
        click.echo(f"and {len(runs) - _SHOWN:,} older")


@click.command(short_help="Log runs to an MLflow tracking server.")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option("--mlflow", "uri", required=True, help="The server, such as http://127.0.0.1:5000.")
@click.option("--experiment", default="edgekit", show_default=True, help="The experiment; made where there is none.")
@STORE
@JSON
def log(*, run_ids: tuple[str, ...], uri: str, experiment: str, store_url: str | None, as_json: bool) -> None:
    """Log RUNs to an MLflow tracking server: parameters, metrics, and the whole run as run.json.

    \b
    Example:
      edgekit runs log 20260131T0930 --mlflow http://127.0.0.1:5000
    """
    from edgekit.mlflow_log import log_run
    from edgekit.report import figures
    from edgekit.store import open_store
    from edgekit_cli.render.json import print_json

    store = open_store(store_url)
    items = [figures(store.load(run_id)) for run_id in run_ids]
    logged = {item.run.id: log_run(item, uri=uri, experiment=experiment) for item in items}
    if as_json:
        print_json({"logged": logged})
    else:
        for run_id, there in logged.items():
            click.echo(f"{run_id} → {there}")
