"""`edgekit bench`: measure artifacts on a device."""

from typing import TYPE_CHECKING, Any

import click

from edgekit_cli.options import COUNTS, DEVICE, DURATION, JSON, SHARE, STORE, TARGET

if TYPE_CHECKING:
    from edgekit.errors import EdgekitError
    from edgekit.run import Run, Schedule

_COLD_STARTS = 10
"""Fresh processes of a cold-start run: its only samples are their first inferences."""


@click.command(short_help="Measure artifacts on a device.")
@click.argument("artifacts", nargs=-1, required=True)
@DEVICE
@TARGET
@click.option("--threads", type=COUNTS, default="1", show_default=True, help="Runtime threads; 1,2,4 for a sweep.")
@click.option("--min-time", "min_time_s", type=DURATION, default=None, help="Steady state in each process.  [0.6s]")
@click.option("--repeat", type=int, default=None, help="Fresh processes, one after the other.  [5]")
@click.option("--paired", is_flag=True, help="Let two artifacts take turns, and compare them.")
@click.option("--precision-goal", type=SHARE, default=None, help="Go on until the median is known to this, e.g. 1%.")
@click.option("--budget", "budget_s", type=DURATION, default=None, help="The longest that may take.  [60s]")
@click.option("--period", "period_s", type=DURATION, default=None, help="Burst: an inference each period, e.g. 33ms.")
@click.option("--sustained", "sustained_s", type=DURATION, default=None, help="Work for minutes on end, e.g. 5min.")
@click.option("--cold", is_flag=True, help="First inferences only, the model file not in the page cache.")
@click.option("--delegate", type=click.Choice(["default", "none"]), default="default", help="none: no XNNPACK.")
@click.option("--operators", is_flag=True, help="Tell where the time goes too, where the runtime can.")
@click.option("--report", "page", type=click.Path(dir_okay=False), default=None, help="Write an HTML report there too.")
@STORE
@click.option("--no-check", is_flag=True, help="Measure even when the golden vectors differ on the device.")
@JSON
def bench(
    *,
    artifacts: tuple[str, ...],
    threads: tuple[int, ...],
    paired: bool,
    as_json: bool,
    store_url: str | None,
    no_check: bool,
    device: str,
    target: str,
    operators: bool,
    page: str | None,
    **schedule: Any,
) -> int:
    """Run ARTIFACTS through the harness on a device, print and store the runs.

    Golden vectors are run on the device first. Each process imports, loads and warms up before it measures; no
    sample is dropped. One artifact that fails does not stop the others.

    \b
    Example:
      edgekit bench out/*.edgekit --device local: --threads 1,2
      edgekit bench old.edgekit new.edgekit --paired
      edgekit bench net.edgekit --sustained 5min
    """
    from pathlib import Path

    from edgekit.artifact import load_artifact
    from edgekit.errors import UsageError
    from edgekit.html_report import write_report
    from edgekit.measure import check_schedule
    from edgekit.store import open_store

    schedules = [_schedule(count, paired=paired, **schedule) for count in threads]
    for item in schedules:
        check_schedule(item)
    for path in artifacts:
        load_artifact(path)
    if paired and len(artifacts) != 2:  # noqa: PLR2004 - a pair
        raise UsageError(f"--paired takes two artifacts, the base and the new one, not {len(artifacts)}.")
    common = {"device": device, "target": target, "check_golden": not no_check, "store": open_store(store_url)}
    if paired:
        return _measure_pair(artifacts, schedules, as_json=as_json, **common)
    runs, failures = _measure(artifacts, schedules, operators=operators, **common)
    _show(runs, failures, as_json=as_json)
    if page and runs:
        write_report(runs, Path(page))
        click.echo(f"\nReport: {page}", err=as_json)
    return max([error.exit_code for _, error in failures], default=0)


def _schedule(
    threads: int, *, period_s: float | None, sustained_s: float | None, cold: bool, paired: bool, **given: Any
) -> "Schedule":
    """The schedule that the options ask for; what they leave open is the mode's own."""
    import msgspec

    from edgekit.errors import UsageError
    from edgekit.measure import PAIRED
    from edgekit.run import Schedule

    ways = (("--period", period_s is not None), ("--sustained", sustained_s is not None), ("--cold", cold))
    asked = [name for name, wanted in ways if wanted]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are different ways to measure: choose one.")
    base = PAIRED if paired else Schedule()
    modes: dict[str, dict[str, Any]] = {
        "--period": {"mode": "burst", "period_s": period_s},
        "--sustained": {"mode": "sustained", "min_time_s": sustained_s, "repeat": 1, "max_samples": 2_000_000},
        "--cold": {"mode": "cold", "repeat": _COLD_STARTS, "min_samples": 1},
    }
    changes = modes[asked[0]] if asked else {}
    changes |= {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(base, threads=threads, **changes)


def _measure(
    artifacts: tuple[str, ...], schedules: "list[Schedule]", **common: Any
) -> "tuple[list[Run], list[tuple[str, EdgekitError]]]":
    from edgekit.errors import CheckFailed, ConversionError, MeasurementError
    from edgekit.measure import benchmark
    from edgekit_cli.progress import terminal_progress

    runs: list[Run] = []
    failures: list[tuple[str, EdgekitError]] = []
    for path in artifacts:
        for schedule in schedules:
            try:
                runs.append(benchmark(path, schedule=schedule, progress=terminal_progress(), **common))
            except (MeasurementError, CheckFailed, ConversionError) as error:
                failures.append((path, error))
    return runs, failures


def _measure_pair(artifacts: tuple[str, ...], schedules: "list[Schedule]", *, as_json: bool, **common: Any) -> int:
    from edgekit.comparison import compare
    from edgekit.measure import benchmark_pair
    from edgekit.noise import noise_band
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.comparison import show_comparisons

    found = []
    for schedule in schedules:
        base, new = benchmark_pair(*artifacts, schedule=schedule, progress=terminal_progress(), **common)
        found.append(compare(base, new, band=noise_band(base)))
    show_comparisons(found, as_json=as_json)
    return 0


def _show(runs: "list[Run]", failures: "list[tuple[str, EdgekitError]]", *, as_json: bool) -> None:
    from edgekit.report import figures, recommend
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.runs import print_method, print_operators, print_recommendation, print_table, run_json

    items = [figures(run) for run in runs]
    advice = recommend(items) if items else None
    if as_json:
        failed = [{"artifact": path, "cause": error.cause, "hint": error.hint} for path, error in failures]
        print_json({"runs": [run_json(item) for item in items], "recommendation": advice, "failures": failed})
        return
    if items:
        print_table(items)
        print_method(items)
        for item in items:
            print_operators(item.run)
        if len(items) > 1:
            print_recommendation(advice)
    for path, error in failures:
        click.echo(f"{click.style('✗', fg='red')} {path}: {error.cause}")
        if error.hint:
            click.echo(f"    next: {error.hint}")
