"""Assembles the report: all it shows is text that Jinja escapes, and data in one JSON element.

The page's content security policy lets nothing but its own two scripts run, and nothing load.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.html_report import charts, commands, facts, tables
from edgekit.html_report.entries import EXACT_DB, FEW, Entry, by_group, entries, measured_by_accuracy
from edgekit.html_report.series import BINS, QUANTILES
from edgekit.publish import whole_file
from edgekit.report import TOLERATED_DROP_POINTS, Recommendation, doubts, figures, recommend
from edgekit.run import Run
from edgekit.stats import percentile_bound

BADGES: Final = {"emulated": "EMULATED", "virtual": "VIRTUAL MACHINE"}
"""What a reader must not miss about the device, by the environment's kind."""

_PERCENTILES: Final = (0.90, 0.95, 0.99)


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to ship to one device; `recommendation` is None when nothing is to be shipped."""

    device: str
    badge: str | None
    hardware: str
    recommendation: Recommendation | None
    doubts: tuple[str, ...]


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Write a report of `runs` to one HTML file that needs no network; it replaces an older one whole.

    Runs of several devices, or of several kinds, get a recommendation each and are not compared with each other.

    Raises:
        UsageError: There is no run, their clocks differ, the file cannot be written, or Jinja2 or Plotly is missing.
    """
    if len({run.schedule.clock for run in runs}) > 1:
        raise UsageError("Some of these runs tell time, others count instructions.", hint="Make a report of each.")
    if not runs:
        raise UsageError("There is no run to report on.", hint="`edgekit runs list` shows the newest.")
    page = _render(runs, path.name)
    with whole_file(path) as temporary:
        temporary.write_text(page, "utf-8")


def _render(runs: Sequence[Run], name: str) -> str:
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise UsageError(
            f"A report needs Jinja2 and Plotly; {error.name} is missing.", hint="pip install jinja2 plotly"
        ) from None
    plotly, script = get_plotlyjs(), _asset("page.js")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    numbered = entries([figures(run) for run in runs])
    advice = [_advice(group) for group in by_group(numbered)]
    shipped = _shipped(numbered, advice)
    return template.from_string(_asset("template.html.j2")).render(
        _context(numbered, name),
        advice=advice,
        shipped=shipped,
        data=Markup(_embedded(_charts(numbered, first=min(shipped, default=1)))),  # noqa: S704 - escaped by `_embedded`
        style=Markup(_asset("page.css")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        plotly=Markup(plotly),  # noqa: S704 - Plotly's own file
        script_hashes=[_policy_hash(plotly), _policy_hash(script)],
    )


def _asset(name: str) -> str:
    return files("edgekit.html_report").joinpath(name).read_text("utf-8")


def _policy_hash(script: str) -> str:
    """How a content security policy names an inline script: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def _embedded(value: Any) -> str:
    """JSON that no text in it can end the script element of."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")


def _context(numbered: Sequence[Entry], name: str) -> dict[str, Any]:
    """Everything the template shows as text."""
    return {
        "version": __version__,
        "unit": charts.scale_of(numbered[0]).unit,
        "quantity": charts.scale_of(numbered[0]).quantity.capitalize(),
        "newest": max(entry.item.run.created for entry in numbered),
        "entries": numbered,
        "tolerated": TOLERATED_DROP_POINTS,
        "results": tables.results(numbered),
        "least": [_least_samples(percentile) for percentile in _PERCENTILES],
        "by_accuracy": measured_by_accuracy([entry.item for entry in numbered]),
        "unplaced": [entry.name for entry in numbered if entry.quality is None],
        "exact_db": EXACT_DB,
        "crowded": len(numbered) > FEW,
        "quantiles": QUANTILES,
        "bins": BINS,
        "environment": facts.compare(numbered),
        "parity": tables.parity(numbered),
        "methods": _methods(numbered),
        "commands": [*commands.bench(numbered), commands.report(numbered, name)],
    }


def _charts(numbered: Sequence[Entry], *, first: int) -> dict[str, Any]:
    """What the page's script draws; `first` is the run whose time series is shown at the beginning."""
    by_accuracy = measured_by_accuracy([entry.item for entry in numbered])
    return {
        "pareto": charts.pareto(numbered, by_accuracy=by_accuracy),
        "cumulative": charts.cumulative(numbered),
        "first": first,
        "timelines": [charts.timeline(entry) for entry in numbered],
    }


def _advice(group: Sequence[Entry]) -> Advice:
    first = group[0].item.run
    where = first.environment
    return Advice(
        device=first.device,
        badge=BADGES.get(where.kind),
        hardware=", ".join(
            filter(None, [where.board, where.cpu or where.machine, f"{where.cores} cores", where.system])
        ),
        recommendation=recommend([entry.item for entry in group]),
        doubts=tuple(
            f"{entry.name} ({entry.item.verdict.kind}): {doubt}" for entry in group for doubt in doubts(entry.item)
        ),
    )


def _shipped(numbered: Sequence[Entry], advice: Sequence[Advice]) -> set[int]:
    ids = {item.recommendation.run_id for item in advice if item.recommendation}
    return {entry.number for entry in numbered if entry.item.run.id in ids}


def _least_samples(percentile: float) -> int:
    """The fewest samples that support a percentile."""
    least, most = 1, 1 << 16
    while least < most:
        middle = (least + most) // 2
        if percentile_bound(range(middle), percentile) is None:
            least = middle + 1
        else:
            most = middle
    return least


def _methods(numbered: Sequence[Entry]) -> list[tuple[str, str, str]]:
    """How runs were taken, with the numbers of those that were taken so: method, schedule, numbers."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in numbered:
        run = entry.item.run
        found.setdefault((f"{run.runtime}: {run.method}", commands.schedule(run)), []).append(str(entry.number))
    return [(method, schedule, ", ".join(numbers)) for (method, schedule), numbers in found.items()]
