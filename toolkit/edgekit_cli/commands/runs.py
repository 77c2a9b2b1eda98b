"""`edgekit runs`: what was measured before."""

import click

from edgekit_cli.options import JSON


@click.group(short_help="List and show stored runs.")
def runs() -> None:
    """List and show stored runs.

    \b
    Example:
      edgekit runs list
      edgekit runs show 20260131T093000
    """


@runs.command("list", short_help="The newest runs.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--store", "store_url", default=None, help="Where runs are kept. Default: EDGEKIT_STORE, or SQLite.")
@JSON
def list_runs(*, limit: int, store_url: str | None, as_json: bool) -> None:
    """List the newest runs, newest first.

    \b
    Example:
      edgekit runs list --limit 5
    """
    from edgekit.store import open_store
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.runs import print_summaries

    found = open_store(store_url).runs(limit=limit)
    if as_json:
        print_json({"runs": found})
    else:
        print_summaries(found)


@runs.command("show", short_help="One run.")
@click.argument("run_id")
@click.option("--samples", is_flag=True, help="With --json: every timed inference, in nanoseconds.")
@click.option("--plot", is_flag=True, help="Plot the distribution and the course of latency.")
@click.option("--store", "store_url", default=None, help="Where runs are kept. Default: EDGEKIT_STORE, or SQLite.")
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
    from edgekit_cli.render.runs import print_method, print_run, print_table, run_json

    item = figures(open_store(store_url).load(run_id))
    if as_json:
        print_json(run_json(item, samples=samples))
        return
    print_table([item])
    print_method([item])
    print_run(item.run)
    if plot:
        from edgekit_cli.render.plot import print_plot

        print_plot(item.run)
