"""`edgekit runs`: what was measured before."""

import click

from edgekit_cli.commands.runs_transfer import export, import_runs, log, prune
from edgekit_cli.options import JSON, SINCE, STORE


@click.group(short_help="List, show, plot, move and prune stored runs.")
def runs() -> None:
    """List, show, plot, move and prune stored runs.

    \b
    Example:
      edgekit runs list --since 7d
      edgekit runs show 20260131T093000 --plot
      edgekit runs diff 20260131T0930 20260201T1015
    """


for command in (export, import_runs, prune, log):
    runs.add_command(command)


@runs.command("list", short_help="The newest runs.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--artifact", default=None, help="Of this artifact.")
@click.option("--device", "-d", default=None, help="On this device.")
@click.option("--format", "format_", default=None, help="Of this format.")
@click.option("--since", type=SINCE, default=None, help="From then on: 2026-01-31, or 7d for the last seven days.")
@STORE
@JSON
def list_runs(
    *,
    limit: int,
    artifact: str | None,
    device: str | None,
    format_: str | None,
    since: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """List the newest runs, newest first.

    \b
    Example:
      edgekit runs list --limit 5 --format tflite --since 7d
    """
    from edgekit.protocols import RunQuery
    from edgekit.store import open_store
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.runs import print_summaries

    query = RunQuery(artifact=artifact, device=device, format=format_, since=since, limit=limit)
    found = open_store(store_url).runs(query)
    if as_json:
        print_json({"runs": found})
    elif not found and query != RunQuery(limit=limit):
        click.echo("No stored run is like that.")
    else:
        print_summaries(found)


@runs.command("show", short_help="One run.")
@click.argument("run_id")
@click.option("--samples", is_flag=True, help="With --json: every timed inference, in nanoseconds.")
@click.option("--plot", is_flag=True, help="Plot the distribution and the course of latency.")
@STORE
@JSON
def show_run(*, run_id: str, samples: bool, plot: bool, store_url: str | None, as_json: bool) -> None:
    """Show a run; the beginning of its id is enough.

    \b
    Example:
      edgekit runs show 20260131T0930 --json
    """
    from edgekit.report import figures
    from edgekit.store import open_store
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.runs import print_method, print_operators, print_run, print_table, run_json

    item = figures(open_store(store_url).load(run_id))
    if as_json:
        print_json(run_json(item, samples=samples))
        return
    print_table([item])
    print_method([item])
    print_run(item.run)
    print_operators(item.run)
    if plot:
        from edgekit_cli.render.plot import print_plot

        print_plot(item.run)


@runs.command("diff", short_help="What differs between two runs, ranked.")
@click.argument("base")
@click.argument("new")
@STORE
@JSON
def diff_runs(*, base: str, new: str, store_url: str | None, as_json: bool) -> None:
    """Tell what differs between two runs, what most likely explains a gap first.

    \b
    Example:
      edgekit runs diff 20260131T0930 20260201T1015
    """
    from edgekit.differences import differences
    from edgekit.store import open_store
    from edgekit_cli.render.comparison import print_differences
    from edgekit_cli.render.json import print_json

    store = open_store(store_url)
    found = differences(store.load(base), store.load(new))
    if as_json:
        print_json({"differences": found})
    elif found:
        print_differences(found)
    else:
        click.echo("Nothing that edgekit records differs.")
