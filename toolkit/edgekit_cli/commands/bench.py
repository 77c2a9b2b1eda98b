"""`edgekit bench`: measure artifacts on a device."""

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgekit_cli.options import CELSIUS, CORES, COUNTS, DEVICES, DURATION, JOBS, JSON, SHARE, STORE

if TYPE_CHECKING:
    from edgekit.comparison import Comparison
    from edgekit.errors import EdgekitError
    from edgekit.inventory import Device
    from edgekit.protocols import Progress
    from edgekit.run import Run, Schedule
    from edgekit_cli.fleet import Outcomes

_COLD_STARTS = 10
"""Fresh processes of a cold-start run: its only samples are their first inferences."""


@click.command(short_help="Measure artifacts on a device.")
@click.argument("artifacts", nargs=-1, required=True)
@DEVICES
@JOBS
@click.option("--target", default="", help="The devices' profile. Default: what the inventory says, else host.")
@click.option("--runtime", default="", help="A provisioned one, or trtexec. Default: the best.")
@click.option("--threads", type=COUNTS, default="1", show_default=True, help="Runtime threads; 1,2,4 for a sweep.")
@click.option("--min-time", "min_time_s", type=DURATION, default=None, help="Steady state in each process.  [0.6s]")
@click.option("--repeat", type=int, default=None, help="Fresh processes, one after the other.  [5]")
@click.option("--paired", is_flag=True, help="Let two artifacts take turns, and compare them.")
@click.option("--precision-goal", type=SHARE, default=None, help="Go on until the median is known to this, e.g. 1%.")
@click.option("--budget", "budget_s", type=DURATION, default=None, help="The longest that may take.  [60s]")
@click.option("--period", "period_s", type=DURATION, default=None, help="Burst: an inference each period, e.g. 33ms.")
@click.option("--sustained", "sustained_s", type=DURATION, default=None, help="Work for minutes on end, e.g. 5min.")
@click.option("--cold", is_flag=True, help="First inferences only, the model file not in the page cache.")
@click.option(
    "--delegate", type=click.Choice(["default", "none", "gpu", "nnapi"]), default="default", help="none: no XNNPACK."
)
@click.option("--governor", default=None, help="Give every core this one meanwhile, e.g. performance.")
@click.option("--cores", "affinity", type=CORES, default=None, help="Run on these only: 2,3 or 0-3, big, little.")
@click.option("--cooldown", "cooldown_c", type=CELSIUS, default=None, help="Wait until it is no warmer, e.g. 35C.")
@click.option("--operators", is_flag=True, help="Tell where the time goes too, where the runtime can.")
@click.option("--clock", type=click.Choice(["wall", "instructions"]), default="wall", help="See `edgekit virtual`.")
@click.option("--eval", "evaluation", type=click.Path(), default="", help="Labelled samples for a bare board.")
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
    devices: tuple[str, ...],
    jobs: int,
    target: str,
    runtime: str,
    operators: bool,
    evaluation: str,
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
      edgekit bench net.edgekit --device group:lab --jobs 4
      edgekit bench net-c-int8.edgekit --device serial:/dev/ttyACM0 --operators --eval test.npz
    """
    from edgekit.artifact import load_artifact
    from edgekit.errors import UsageError
    from edgekit.measure import check_schedule
    from edgekit.store import open_store
    from edgekit_cli.fleet import each

    schedules = [_schedule(count, paired=paired, **schedule) for count in threads]
    for item in schedules:
        check_schedule(item)
    for path in artifacts:
        load_artifact(path)
    if paired and len(artifacts) != 2:  # noqa: PLR2004 - a pair
        raise UsageError(f"--paired takes two artifacts, the base and the new one, not {len(artifacts)}.")
    common = {"check_golden": not no_check, "store": open_store(store_url)}

    def here(device: "Device", progress: "Progress") -> dict[str, Any]:
        return {"device": device.url, "target": target or device.target, "progress": progress, **common}

    if paired:
        pairs = each(
            devices, lambda *place: _measure_pair(artifacts, schedules, **here(*place)), title="bench", jobs=jobs
        )
        return _show_pairs(pairs, as_json=as_json)
    more = {"runtime": runtime, "operators": operators, "evaluation": evaluation or None}
    outcomes = each(
        devices, lambda *place: _measure(artifacts, schedules, **more, **here(*place)), title="bench", jobs=jobs
    )
    return _show(outcomes, page, as_json=as_json)


def _schedule(
    threads: int, *, period_s: float | None, sustained_s: float | None, cold: bool, paired: bool, **given: Any
) -> "Schedule":
    """The schedule that the options ask for; what they leave open is the mode's own."""
    import msgspec

    from edgekit.errors import UsageError
    from edgekit.measure import COUNTED, PAIRED
    from edgekit.run import Schedule

    ways = (("--period", period_s is not None), ("--sustained", sustained_s is not None), ("--cold", cold))
    asked = [name for name, wanted in ways if wanted]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are different ways to measure: choose one.")
    base = PAIRED if paired else COUNTED if given["clock"] == "instructions" else Schedule()
    modes: dict[str, dict[str, Any]] = {
        "--period": {"mode": "burst", "period_s": period_s},
        "--sustained": {"mode": "sustained", "min_time_s": sustained_s, "repeat": 1, "max_samples": 2_000_000},
        "--cold": {"mode": "cold", "repeat": _COLD_STARTS, "min_samples": 1},
    }
    changes = modes[asked[0]] if asked else {}
    changes |= {name: value for name, value in given.items() if value is not None}
    if isinstance(changes.get("affinity"), str):
        changes["cluster"] = changes.pop("affinity")
    return msgspec.structs.replace(base, threads=threads, **changes)


class _Measured(NamedTuple):
    """What became of one artifact with one schedule on one device: a run, or the error."""

    artifact: str
    run: "Run | None"
    error: "EdgekitError | None"


def _measure(artifacts: tuple[str, ...], schedules: "list[Schedule]", **common: Any) -> list[_Measured]:
    return [_measure_one(path, schedule=schedule, **common) for path in artifacts for schedule in schedules]


def _measure_one(path: str, **how: Any) -> _Measured:
    """One artifact that fails does not stop the others; a device that cannot be reached does."""
    from edgekit.errors import CheckFailed, ConversionError, MeasurementError
    from edgekit.measure import benchmark

    try:
        return _Measured(path, benchmark(path, **how), None)
    except (MeasurementError, CheckFailed, ConversionError) as error:
        return _Measured(path, None, error)


def _measure_pair(artifacts: tuple[str, ...], schedules: "list[Schedule]", **common: Any) -> "list[Comparison]":
    from edgekit.comparison import compare
    from edgekit.measure import benchmark_pair
    from edgekit.noise import noise_band

    pairs = [benchmark_pair(*artifacts, schedule=schedule, **common) for schedule in schedules]
    return [compare(base, new, band=noise_band(base)) for base, new in pairs]


def _show_pairs(outcomes: "Outcomes[list[Comparison]]", *, as_json: bool) -> int:
    from edgekit_cli.render.comparison import show_comparisons
    from edgekit_cli.render.runs import print_failures

    show_comparisons([item for _, found in outcomes.values() for item in found], as_json=as_json)
    if not as_json:
        print_failures((device.name, error) for device, error in outcomes.failures())
    return outcomes.exit_code


def _show(outcomes: "Outcomes[list[_Measured]]", page: str | None, *, as_json: bool) -> int:
    from pathlib import Path

    from edgekit.html_report import write_report
    from edgekit.report import figures, recommend
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.runs import print_runs, run_json

    measured = [(device.name, item) for device, found in outcomes.values() for item in found]
    runs = [item.run for _, item in measured if item.run]
    named = outcomes.many
    failures = [
        (f"{name}: {item.artifact}" if named else item.artifact, item.error) for name, item in measured if item.error
    ]
    failures += [(device.name, error) for device, error in outcomes.failures()]
    items = [figures(run) for run in runs]
    groups = {run.device: [item for item in items if item.run.device == run.device] for run in runs}
    advice = {device: recommend(there) for device, there in groups.items()}
    if as_json:
        failed = [{"artifact": path, "cause": error.cause, "hint": error.hint} for path, error in failures]
        print_json({"runs": [run_json(item) for item in items], "recommendations": advice, "failures": failed})
    else:
        print_runs(items, advice, failures)
    if page and runs:
        write_report(runs, Path(page))
        click.echo(f"\nReport: {page}", err=as_json)
    return max((error.exit_code for _, error in failures), default=0)
