"""`edgekit report`: stored runs as one HTML file."""

from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON, STORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.run import Run


@click.command(short_help="Write runs to one HTML file: what to ship, and why.")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True)
@click.option("-o", "--output", default="report.html", show_default=True, help="The file; an older one is replaced.")
@click.option("--force", is_flag=True, help="Report on several devices in one file all the same.")
@STORE
@JSON
def report(*, run_ids: tuple[str, ...], output: str, force: bool, store_url: str | None, as_json: bool) -> None:
    """Write a report of RUNs to one HTML file that opens offline; the beginnings of their ids are enough.

    It says what to ship and why, shows latency against accuracy, how latency is distributed and changes over time,
    where the runs were taken and what differs there, and the commands that take them again.

    \b
    Example:
      edgekit report 20260131T0930 20260131T0931 -o report.html
    """
    from pathlib import Path

    from edgekit.html_report import write_report
    from edgekit.store import open_store
    from edgekit_cli.render.json import print_json

    store, path = open_store(store_url), Path(output)
    runs = list({run.id: run for run in map(store.load, run_ids)}.values())
    if not force:
        _refuse_a_mix(runs)
    write_report(runs, path)
    size = path.stat().st_size
    if as_json:
        print_json({"report": path, "bytes": size})
    else:
        click.echo(f"{path}: {len(runs)} run{'s' if len(runs) > 1 else ''}, {size / 1e6:.1f} MB, opens offline.")


def _refuse_a_mix(runs: "Sequence[Run]") -> None:
    from edgekit.errors import UsageError

    places = sorted({f"{run.device} ({run.environment.kind})" for run in runs})
    if len(places) > 1:
        raise UsageError(
            f"These runs are from different devices or kinds of device: {', '.join(places)}.",
            hint="Report on one at a time, or get a recommendation for each in one file with --force.",
        )
