"""Comparisons on the terminal, as Markdown, JSON and JUnit XML."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from edgekit.comparison import Comparison
from edgekit.gate import Check
from edgekit.publish import whole_file
from edgekit.report import SCALES, Figures, amount
from edgekit_cli.render.json import print_json
from edgekit_cli.render.runs import precision

_WIDTH: Final = 80
_COLOURS: Final = {"slower": "red", "faster": "green", "same": "green", "cannot tell": "yellow"}
_MARKS: Final = {"passed": "✓", "failed": "✗", "cannot tell": "?"}
_STATE_COLOURS: Final = {"passed": "green", "failed": "red", "cannot tell": "yellow"}
_NONE: Final = "-"


def show_comparisons(found: Sequence[Comparison], *, as_json: bool) -> None:
    """Comparisons that nothing was asked of."""
    if as_json:
        print_json({"comparisons": [comparison_json(item) for item in found]})
        return
    for item in found:
        _print_comparison(item)


def show_comparison(found: Comparison, checks: Sequence[Check], *, passed: bool, markdown: bool, as_json: bool) -> None:
    """One comparison, with what it says to the gate's conditions."""
    if as_json:
        print_json(comparison_json(found) | {"checks": checks, "passed": passed})
    elif markdown:
        click.echo(_markdown(found, checks))
    else:
        _print_comparison(found)
        for item in checks:
            mark = click.style(_MARKS[item.state], fg=_STATE_COLOURS[item.state])
            line = f"{item.condition}: {item.state.upper() if item.state == 'failed' else item.state}, {item.why}"
            click.echo(f"{mark} {textwrap.fill(line, _WIDTH - 2, subsequent_indent='    ')}")


def comparison_json(found: Comparison) -> dict[str, Any]:
    """A comparison for machines: figures of both sides, without samples."""
    return {
        "base": _side_json(found.base),
        "new": _side_json(found.new),
        "median": found.median,
        "outcome": found.outcome,
        "band": found.band,
        "unsteady": found.unsteady,
        "differences": found.differences,
        "forced": found.forced,
    }


def _side_json(item: Figures) -> dict[str, Any]:
    return {
        "run": item.run.id,
        "artifact": item.run.artifact.name,
        "device": item.run.device,
        "kind": item.run.environment.kind,
        "summary": msgspec.to_builtins(item.summary),
        "verdict": item.verdict,
    }


def _print_comparison(found: Comparison) -> None:
    for line in found.forced:
        click.secho(textwrap.fill(f"Not comparable, and compared all the same: {line}.", _WIDTH), fg="yellow")
    for name, cells in _rows(found):
        click.echo(f"{name:<10} {cells[0]:>22} {cells[1]:>22}")
    click.echo()
    click.secho(textwrap.fill(_sentence(found), _WIDTH), fg=_COLOURS[found.outcome], bold=True)
    if found.median:
        click.echo(textwrap.fill(f"How: {found.median.method}.", _WIDTH, subsequent_indent="  "))
    for side in (found.base, found.new):
        for reason in side.verdict.reasons:
            line = f"Doubt ({side.verdict.kind}): {side.run.artifact.name}: {reason}."
            click.secho(textwrap.fill(line, _WIDTH, subsequent_indent="  "), fg="yellow")
    print_differences(found.differences[:5])


def print_differences(items: Sequence[Any]) -> None:
    """What differs between two runs, ranked."""
    for item in items:
        line = f"{item.weight}: {item.what}: {item.base} → {item.new} ({item.why})"
        click.echo(textwrap.fill(line, _WIDTH, subsequent_indent="    "))


def _rows(found: Comparison) -> Sequence[tuple[str, tuple[str, str]]]:
    sides = found.base, found.new
    rows = [
        ("", [_fitting(item.run.artifact.name) for item in sides]),
        ("run", [_fitting(item.run.id) for item in sides]),
        ("median", [f"{amount(item.summary.median_ns, item.run)} {precision(item.summary)}" for item in sides]),
        ("p90", [_bound(item.summary.p90_ns, item) for item in sides]),
        ("p99", [_bound(item.summary.p99_ns, item) for item in sides]),
        ("size", [f"{item.run.artifact.model_bytes / 1e3:.1f} kB" for item in sides]),
        ("accuracy", [_accuracy(item) for item in sides]),
    ]
    return [(name, (cells[0], cells[1])) for name, cells in rows]


def _fitting(name: str) -> str:
    return name if len(name) <= 22 else f"…{name[-21:]}"  # noqa: PLR2004 - the column's width


def _bound(value: int | None, item: Figures) -> str:
    return _NONE if value is None else amount(value, item.run)


def _accuracy(item: Figures) -> str:
    accuracy = item.run.artifact.accuracy
    return _NONE if accuracy is None else f"{100 * accuracy:.1f} %"


def _sentence(found: Comparison) -> str:
    if found.median is None:
        return "Cannot tell: too few processes. Measure with a larger --repeat, or both with --paired."
    change, low, high = (100 * (item - 1) for item in (found.median.value, found.median.low, found.median.high))
    interval = f"{change:+.1f}% (95 % interval {low:+.1f}% to {high:+.1f}%)"
    unsteady = ", within what runs that are not steady do by themselves" if found.unsteady else ""
    scale = SCALES[found.new.run.schedule.clock]
    words = {
        "slower": f"{scale.more.capitalize()}: the median changed by {interval}.",
        "faster": f"{scale.less.capitalize()}: the median changed by {interval}.",
        "same": f"The same within the noise band of ±{100 * found.band:.1f}%: {interval}.",
        "cannot tell": f"Cannot tell: {interval}{unsteady}. Measure both in turns with `edgekit bench A B --paired`.",
    }
    return words[found.outcome]


def _markdown(found: Comparison, checks: Sequence[Check]) -> str:
    lines = [f"**{_sentence(found)}**", "", "| | base | new |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {_cell(cells[0])} | {_cell(cells[1])} |" for name, cells in _rows(found)]
    lines += [""] + [f"- {_MARKS[item.state]} `{item.condition}`: {item.state}, {item.why}" for item in checks]
    lines += [f"- not comparable, and compared all the same: {line}" for line in found.forced]
    if found.differences:
        lines += ["", "| differs | base | new | explains it |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {item.what} | {_cell(item.base)} | {_cell(item.new)} | {item.weight}: {item.why} |"
            for item in found.differences
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that cannot end a table's cell, or begin markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def write_junit(path: Path, found: Comparison, checks: Sequence[Check], *, strict: bool) -> None:
    """The gate's conditions as test cases: failed ones fail, those that cannot be told are skipped or, if strict, fail.

    Raises:
        UsageError: It cannot be written there.
    """
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

    suite = TestSuite(f"edgekit compare {found.base.run.id} {found.new.run.id}")
    for item in checks:
        case = TestCase(item.condition, classname=f"edgekit.{found.new.run.artifact.name}")
        if item.state == "failed" or (strict and item.state == "cannot tell"):
            case.result = [Failure(f"{item.state}: {item.why}")]
        elif item.state == "cannot tell":
            case.result = [Skipped(f"cannot tell: {item.why}")]
        case.system_out = item.why
        suite.add_testcase(case)
    report = JUnitXml()
    report.add_testsuite(suite)
    with whole_file(path) as file:
        report.write(str(file))
