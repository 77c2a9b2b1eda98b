"""How runs were taken, in words, and as the commands that take them again."""

from collections.abc import Sequence
from itertools import groupby
from shlex import join

from edgekit.html_report.entries import Entry
from edgekit.run import Run, Schedule


def schedule(run: Run) -> str:
    """The schedule in a sentence, without its full stop."""
    plan = run.schedule
    warm = f"after at least {plan.warmup_s:g} s of warm-up"
    each = {
        "single-stream": f"each at least {plan.min_time_s:g} s and {plan.min_samples:,} inferences "
        f"(at most {plan.max_samples:,}) {warm}",
        "burst": f"each at least {plan.min_time_s:g} s with an inference every {1e3 * plan.period_s:g} ms {warm}",
        "sustained": f"each {plan.min_time_s:g} s without a pause {warm}",
        "cold": "each timed for its first inference only",
    }[plan.mode]
    goal = "" if plan.precision_goal is None else f"; more until the median was known to {plan.precision_goal:.2%}"
    fresh = f"{len(run.repetitions)} fresh process{'es' if len(run.repetitions) > 1 else ''}"
    return f"{fresh}, {each}; threads: {plan.threads}{goal}"


def bench(entries: Sequence[Entry]) -> list[str]:
    """A command for all runs that were taken alike; two that took turns in the same processes stay a pair."""

    def key(entry: Entry) -> tuple[str, list[str]]:
        return entry.item.run.pair, _options(entry.item.run)

    commands = []
    for (pair, options), alike in groupby(sorted(entries, key=key), key=key):
        runs = sorted((entry.item.run for entry in alike), key=lambda run: run.id)
        paired = ["--paired"] if pair and len(runs) == 2 else []  # noqa: PLR2004 - a pair
        names = dict.fromkeys(f"{run.artifact.name}.edgekit" for run in runs)
        commands.append(join(["edgekit", "bench", *names, *options, *paired]))
    return commands


def _options(run: Run) -> list[str]:
    plan = run.schedule
    options = ["--device", run.device, "--target", run.target, "--threads", str(plan.threads), *_mode_options(plan)]
    if plan.delegate != "default":
        options += ["--delegate", plan.delegate]
    if plan.governor:
        options += ["--governor", plan.governor]
    if plan.affinity:
        options += ["--cores", ",".join(map(str, plan.affinity))]
    if plan.precision_goal is not None:
        options += ["--precision-goal", f"{100 * plan.precision_goal:g}%", "--budget", f"{plan.budget_s:g}s"]
    return [*options, "--operators"] if run.operators else options


def _mode_options(plan: Schedule) -> list[str]:
    repeat, time = ["--repeat", str(plan.repeat)], ["--min-time", f"{plan.min_time_s:g}s"]
    return {
        "single-stream": [*repeat, *time],
        "burst": ["--period", f"{1e3 * plan.period_s:g}ms", *repeat, *time],
        "sustained": ["--sustained", f"{plan.min_time_s:g}s", *repeat],
        "cold": ["--cold", *repeat],
    }[plan.mode]


def report(entries: Sequence[Entry], name: str) -> str:
    """The command that writes this page."""
    force = ["--force"] if len({entry.group for entry in entries}) > 1 else []
    return join(["edgekit", "report", *(entry.item.run.id for entry in entries), *force, "-o", name])
