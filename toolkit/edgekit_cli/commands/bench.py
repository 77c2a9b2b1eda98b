"""`edgekit bench`: measure artifacts on a device."""

from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.errors import EdgekitError
    from edgekit.protocols import Store
    from edgekit.run import Run, Schedule


@click.command(short_help="Measure artifacts on a device.")
@click.argument("artifacts", nargs=-1, required=True)
@click.option("--device", "-d", default="local:", show_default=True, help="The device's URL.")
@click.option("--target", default="host", show_default=True, help="The device's profile (`edgekit targets list`).")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads the runtime may use.")
@click.option("--min-time", "min_time_s", type=float, default=1.0, show_default=True, help="Seconds in each process.")
@click.option("--repeat", type=int, default=3, show_default=True, help="Fresh processes, one after the other.")
@click.option("--store", "store_url", default=None, help="Where runs are kept. Default: EDGEKIT_STORE, or SQLite.")
@click.option("--no-check", is_flag=True, help="Measure even when the golden vectors differ on the device.")
@JSON
def bench(
    *,
    artifacts: tuple[str, ...],
    device: str,
    target: str,
    threads: int,
    min_time_s: float,
    repeat: int,
    store_url: str | None,
    no_check: bool,
    as_json: bool,
) -> int:
    """Run ARTIFACTS through the harness on a device, print and store the runs.

    Golden vectors are run on the device first. Each process imports, loads and warms up before it measures; no
    sample is dropped. One artifact that fails does not stop the others.

    \b
    Example:
      edgekit bench out/*.edgekit --device local: --threads 2
    """
    from edgekit.artifact import load_artifact
    from edgekit.measure import check_schedule
    from edgekit.run import Schedule
    from edgekit.store import open_store

    schedule = Schedule(threads=threads, min_time_s=min_time_s, repeat=repeat)
    check_schedule(schedule)
    for path in artifacts:
        load_artifact(path)
    runs, failures = _measure(
        artifacts, device, target, schedule=schedule, check_golden=not no_check, store=open_store(store_url)
    )
    _show(runs, failures, as_json=as_json)
    return max([error.exit_code for _, error in failures], default=0)


def _measure(
    artifacts: tuple[str, ...], device: str, target: str, *, schedule: "Schedule", check_golden: bool, store: "Store"
) -> "tuple[list[Run], list[tuple[str, EdgekitError]]]":
    from edgekit.errors import CheckFailed, ConversionError, MeasurementError
    from edgekit.measure import benchmark
    from edgekit_cli.progress import terminal_progress

    runs: list[Run] = []
    failures: list[tuple[str, EdgekitError]] = []
    for path in artifacts:
        try:
            run = benchmark(
                path,
                device=device,
                target=target,
                schedule=schedule,
                check_golden=check_golden,
                store=store,
                progress=terminal_progress(),
            )
            runs.append(run)
        except (MeasurementError, CheckFailed, ConversionError) as error:
            failures.append((path, error))
    return runs, failures


def _show(runs: "list[Run]", failures: "list[tuple[str, EdgekitError]]", *, as_json: bool) -> None:
    from edgekit.report import figures, recommend
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.runs import print_method, print_recommendation, print_table, run_json

    items = [figures(run) for run in runs]
    advice = recommend(items) if items else None
    if as_json:
        failed = [{"artifact": path, "cause": error.cause, "hint": error.hint} for path, error in failures]
        print_json({"runs": [run_json(item) for item in items], "recommendation": advice, "failures": failed})
        return
    if items:
        print_table(items)
        print_method(items)
        if len(items) > 1:
            print_recommendation(advice)
    for path, error in failures:
        click.echo(f"{click.style('✗', fg='red')} {path}: {error.cause}")
        if error.hint:
            click.echo(f"    next: {error.hint}")
