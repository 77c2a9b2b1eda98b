"""Runs on the terminal and as JSON: the table, the way it was measured, and what to ship."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import Any, Final

import click
import msgspec

from edgekit.errors import EdgekitError
from edgekit.power import energy_mj, mean_power_mw
from edgekit.protocols import RunSummary
from edgekit.report import SCALES, Figures, Recommendation, doubts, megabytes, milliseconds
from edgekit.run import Environment, Firmware, Run, Schedule
from edgekit.stats import Summary

_WIDTH: Final = 80
_NONE: Final = "-"
"""In place of a figure that there is none of."""


def run_json(item: Figures, *, samples: bool = False) -> dict[str, Any]:
    """A run for machines: the figures, and the run without its samples unless they are asked for."""
    run: dict[str, Any] = msgspec.to_builtins(item.run)
    if not samples:
        for repetition in run["repetitions"]:
            repetition["samples"] = len(repetition.pop("samples_ns"))
    return {
        "id": item.run.id,
        "summary": item.summary,
        "load_ns": item.load_ns,
        "first_ns": item.first_ns,
        "peak_rss_bytes": item.peak_rss_bytes,
        "drop_points": item.drop_points,
        "verdict": item.verdict,
        "run": run,
    }


def print_runs(
    items: Sequence[Figures], advice: Mapping[str, Recommendation | None], failures: Sequence[tuple[str, EdgekitError]]
) -> None:
    """The tables, device by device, each with what to ship there when it ran several; then what failed."""
    devices = list(dict.fromkeys(item.run.device for item in items))
    for device in devices:
        there = [item for item in items if item.run.device == device]
        if len(devices) > 1:
            click.secho(device, bold=True)
        print_table(there)
        print_method(there)
        for item in there:
            print_firmware(item.run)
            print_operators(item.run)
        if len(there) > 1:
            print_recommendation(advice[device])
        if len(devices) > 1:
            click.echo()
    print_failures(failures)


def print_failures(failures: Iterable[tuple[str, EdgekitError]]) -> None:
    """What failed, and the next step of each."""
    for name, error in failures:
        click.echo(f"{click.style('✗', fg='red')} {name}: {error.cause}")
        if error.hint:
            click.echo(f"    next: {error.hint}")


def print_table(items: Sequence[Figures]) -> None:
    """A row for each run, grouped by source; 80 columns hold the common precisions."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("artifact")
    unit = SCALES[items[0].run.schedule.clock].unit
    for title in (
        "size\nkB",
        "accuracy\n% (change)",
        f"median\n{unit}",
        "95 %\nCI",
        f"p90\n{unit}",
        f"load\n{unit}",
        "mem\nMB",
        "SQNR\ndB",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    sweep = len({item.run.schedule.threads for item in items}) > 1
    ordered = sorted(items, key=lambda item: item.run.artifact.source)
    for source, group in groupby(ordered, key=lambda item: item.run.artifact.source):
        table.add_row(f"[bold]{source.partition(':')[0]}", *[""] * 8)
        for item in group:
            threads = f" x{item.run.schedule.threads}" if sweep else ""
            table.add_row(f"  {item.label}{threads}", *_cells(item))
    Console(soft_wrap=False).print(table)


def _cells(item: Figures) -> list[str]:
    run, summary = item.run, item.summary
    golden = run.golden
    failed = golden is not None and not golden.passed
    return [
        f"{run.artifact.model_bytes / 1e3:.1f}",
        _accuracy(item),
        milliseconds(summary.median_ns),
        precision(summary),
        _NONE if summary.p90_ns is None else milliseconds(summary.p90_ns),
        f"{item.load_ns / 1e6:.1f}",
        megabytes(item.peak_rss_bytes) if item.peak_rss_bytes else _NONE,
        "[red]failed" if failed else _sqnr(item.sqnr_db),
    ]


def precision(summary: Summary) -> str:
    """How far the interval reaches from the median, such as `±1.2%`."""
    spread = summary.precision
    if spread is None:
        return _NONE
    return f"±{100 * spread:.{1 if spread < 0.1 else 0}f}%"  # noqa: PLR2004 - one digit is enough from 10 %


def _accuracy(item: Figures) -> str:
    accuracy = item.run.artifact.accuracy
    if accuracy is None:
        return _NONE
    change = "" if item.drop_points is None else f" ({0 - item.drop_points:+.1f})"
    return f"{100 * accuracy:.1f}{change}"


def _sqnr(decibels: float | None) -> str:
    if decibels is None:
        return _NONE
    return "equal" if math.isinf(decibels) else f"{decibels:.0f}"


def print_method(items: Sequence[Figures]) -> None:
    """How the table was measured, and where: what a reader needs to trust it."""
    first = items[0].run
    environment = first.environment
    kind = {"emulated": "EMULATED: ", "virtual": "virtual machine: "}.get(environment.kind, "")
    if first.schedule.clock == "instructions":
        click.echo("Minstr: millions of instructions that the emulated processor executed; no time.")
    where = f"{kind}{environment.cpu or environment.machine}, {_threads(items)}, {environment.system}"
    for line in (f"Where: {first.device} ({where}).", f"How: {_how(items)}"):
        click.echo(textwrap.fill(line, _WIDTH, subsequent_indent="  "))
    for item in items:
        for doubt in doubts(item):
            line = f"Doubt ({item.verdict.kind}): {item.run.artifact.name}: {doubt}."
            click.secho(textwrap.fill(line, _WIDTH, subsequent_indent="  "), fg="yellow")


def _how(items: Sequence[Figures]) -> str:
    """How the figures came about, of runs that were all measured by the same harness."""
    first = items[0].run
    processes = _processes([item.summary.processes for item in items])
    sqnr = "SQNR is to the source, on the device."
    if first.firmware:
        counts = [max(len(part.samples_ns), part.inferences) for item in items for part in item.run.repetitions]
        series = _span([item.summary.processes for item in items])
        return f"median of {series} series of {_span(counts)} inferences each: {first.method}; {sqnr}"
    if not first.environment.python:
        counts = [repetition.inferences for item in items for repetition in item.run.repetitions]
        each = f" of {_span(counts)} inferences" if any(counts) else ""
        return f"{_mode(first.schedule)}{processes}{each}: {first.method}; t interval over the processes; {sqnr}"
    counts = [item.summary.count for item in items]
    return (
        f"{_mode(first.schedule)}median of {_span(counts)} timed inferences in {processes}, t interval over the "
        "processes; p90 is MLPerf's early-stopping bound (99 %); load is the model alone; mem is the process's peak; "
        f"{sqnr}{_overhead(items)}"
    )


def _overhead(items: Sequence[Figures]) -> str:
    """What the harness itself costs, of runs that measured it."""
    costs = [repetition.overhead_ns for item in items for repetition in item.run.repetitions if repetition.overhead_ns]
    if not costs:
        return ""
    thousand = "us" if items[0].run.schedule.clock == "wall" else "thousand instructions"
    return f" The harness costs {median(costs) / 1e3:.1f} {thousand} an inference, subtracted nowhere."


def _processes(counts: Sequence[int]) -> str:
    return "one fresh process each" if max(counts) == 1 else f"{_span(counts)} fresh processes each"


def _threads(items: Sequence[Figures]) -> str:
    counts = sorted({item.run.schedule.threads for item in items})
    return f"{', '.join(map(str, counts))} thread{'s' if counts[-1] > 1 else ''}"


def _mode(schedule: Schedule) -> str:
    """How inferences follow each other, where it is not the usual way."""
    words = {
        "burst": f"an inference each {1e3 * schedule.period_s:g} ms; ",
        "sustained": f"{schedule.min_time_s:g} s without a pause; ",
        "cold": "first inferences of fresh processes; ",
    }
    return words.get(schedule.mode, "")


def print_operators(run: Run, most: int = 12) -> None:
    """Where the time goes, the slowest operators first."""
    if not run.operators:
        return
    total = sum(item.self_ns for item in run.operators) or 1
    what = "Layers" if run.firmware else "Operators"
    unit = SCALES[run.schedule.clock].unit
    most = len(run.operators) if run.firmware else most  # a model's layers are read as a whole
    click.echo(f"{what} of {run.artifact.name} (under the profiler, which costs time itself):")
    for item in run.operators[:most]:
        figure = f"{milliseconds(item.self_ns):>9} {unit} {item.self_ns / total:6.1%}"
        click.echo(f"  {item.name:<44.44} {item.calls:6.1f}x {figure}")
    left = len(run.operators) - most
    if left > 0:
        click.echo(f"  and {left} more (--json has all)")


def print_firmware(run: Run) -> None:
    """What the image takes of a bare board, and what it computed of a labelled set."""
    if run.firmware and run.firmware.flash_bytes:
        click.echo(textwrap.fill(f"Memory: {_memory(run.firmware)}.", _WIDTH, subsequent_indent="  "))
    if run.evaluation:
        line = f"Accuracy of {run.artifact.name}: {_evaluation(run)}."
        click.echo(textwrap.fill(line, _WIDTH, subsequent_indent="  "))


def _memory(firmware: Firmware) -> str:
    return (
        f"flash {firmware.flash_bytes / 1e3:.1f} kB (weights {firmware.weight_bytes / 1e3:.1f}), RAM "
        f"{firmware.ram_bytes / 1e3:.1f} kB (arena {firmware.arena_bytes / 1e3:.1f}), stack "
        f"{firmware.stack_bytes / 1e3:.1f} kB"
    )


def _firmware(run: Run) -> str:
    """What ran on a bare board; empty where programs run."""
    firmware = run.firmware
    if firmware is None:
        return ""
    clock = f"{firmware.clock} at {firmware.clock_hz / 1e6:g} MHz"
    return ", ".join(filter(None, [firmware.protocol, clock, _memory(firmware) if firmware.flash_bytes else ""]))


def _evaluation(run: Run) -> str:
    """Accuracy over a set that the device computed; empty without one."""
    found = run.evaluation
    if found is None:
        return ""
    right = round(found.accuracy * found.samples)
    return f"{found.accuracy:.2%}, {right:,} of {found.samples:,} samples of {found.data}, computed on the device"


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def print_recommendation(recommendation: Recommendation | None) -> None:
    """What to ship, and why."""
    click.echo()
    if recommendation is None:
        click.secho("None of these computes what its source does: do not ship one.", fg="red", bold=True)
        return
    click.secho(textwrap.fill(recommendation.headline, _WIDTH), bold=True)
    for reason in recommendation.reasons:
        click.echo(textwrap.fill(f"  {reason}", _WIDTH, subsequent_indent="  "))


def print_summaries(summaries: Sequence[RunSummary]) -> None:
    """Stored runs, a line each."""
    if not summaries:
        click.echo("No runs are stored yet; `edgekit bench` stores what it measures.")
        return
    width = max(len(item.artifact) for item in summaries)
    for item in summaries:
        kind = "" if item.kind == "physical" else f"  {item.kind}"
        click.echo(
            f"{item.id}  {item.artifact.ljust(width)}  {milliseconds(item.median_ns):>8} {SCALES[item.clock].unit}  "
            f"{item.device}{kind}"
        )


def _course(run: Run) -> str:
    """How temperature and clock went while a sustained run lasted; empty where neither is known."""
    points = run.repetitions[0].trace
    if not points:
        return ""
    words = []
    for unit, scale, values in (
        ("°C", 1.0, [point.temperature_c for point in points]),
        ("MHz", 1e-6, [point.frequency_hz for point in points]),
    ):
        known = [scale * value for value in values if value is not None]
        if known:
            words.append(f"{known[0]:.0f} → {known[-1]:.0f} {unit} ({min(known):.0f} to {max(known):.0f})")
    return ", ".join(words)


def _device_facts(run: Run) -> dict[str, str]:
    """What was set on the device, what it was limited to and what it took; empty where a run does not say."""
    environment, schedule = run.environment, run.schedule
    governors = ", ".join(dict.fromkeys(environment.before.governor or ()))
    clocks = [
        f"governor {governors}{' (set for the run)' if schedule.governor else ''}" if governors else "",
        f"power mode {environment.power_mode}" if environment.power_mode else "",
        "pinned to one clock" if environment.clocks_pinned else "",
        f"cores {', '.join(map(str, schedule.affinity))} only" if schedule.affinity else "",
    ]
    return {
        "clocks": ", ".join(filter(None, clocks)),
        "phone": _phone(run),
        "firmware": _firmware(run),
        "accuracy": _evaluation(run),
        "course": _course(run),
        "power": _power(run),
    }


def _phone(run: Run) -> str:
    """Battery and thermal status, where there are such."""
    before, after = run.environment.before, run.environment.after
    charging = {True: ", being charged", False: ", not charged", None: ""}[before.charging]
    words = []
    if before.battery_percent is not None:
        words.append(f"battery {before.battery_percent:.0f} %{charging}")
    if before.thermal_status is not None:
        words.append(f"thermal status {before.thermal_status} → {after.thermal_status}")
    return ", ".join(words)


def _power(run: Run) -> str:
    """The whole module's power and energy for an inference where they are known, else what the rails said last."""
    power_mw, energy = mean_power_mw(run), energy_mj(run)
    if power_mw is not None and energy is not None:
        return f"{power_mw / 1e3:.2f} W of the whole board while it worked, {energy:.3g} mJ an inference"
    rails = run.environment.after.power_mw or {}
    return ", ".join(f"{name} {value / 1e3:.2f} W" for name, value in rails.items()) + (" after it" if rails else "")


def _hardware(environment: Environment) -> str:
    memory = environment.memory_bytes
    size = f"{memory / 1e9:.1f} GB" if memory >= 1e8 else f"{memory / 1e3:,.0f} kB"  # noqa: PLR2004 - a tenth of a GB
    return f"{environment.cores} core{'' if environment.cores == 1 else 's'}, {size if memory else 'memory unknown'}"


def print_run(run: Run) -> None:
    """Where and with what a run was taken."""
    environment = run.environment
    python = f"Python {environment.python}" if environment.python else "no Python"
    facts = {
        "run": f"{run.id}, {run.created}",
        "runtime": f"{run.runtime}, {run.delegate}" if run.delegate else run.runtime,
        "method": run.method,
        "machine": f"{environment.board or environment.machine}, {_hardware(environment)}, {environment.kind}",
        "system": ", ".join(filter(None, [environment.system, environment.libc, python])),
        "packages": ", ".join(f"{name} {version}" for name, version in environment.packages.items()),
        "load": f"{environment.before.load1} before, {environment.after.load1} after",
    }
    facts |= {name: words for name, words in _device_facts(run).items() if words}
    if environment.before.load1 is None:
        del facts["load"]
    for name, value in facts.items():
        click.echo(textwrap.fill(f"{name:<9}{value}", _WIDTH, subsequent_indent=" " * 9))
