"""Plotly figures as plain data: https://plotly.com/javascript/reference/.

Colours are names of the style sheet's variables in `meta`; the page's script fills them in for light and dark.
Plotly reads markup in names and labels, so everything that a user named is escaped here.
"""

import math
from collections.abc import Sequence
from html import escape
from itertools import chain, pairwise
from typing import Any, Final

from edgekit.html_report.entries import EXACT_DB, FEW, Entry
from edgekit.html_report.series import beyond, distribution, drift, over_time, top_ms
from edgekit.report import SCALES, Scale, amount
from edgekit.stats import Summary

Figure = dict[str, Any]

_LARGEST_PX: Final = 34.0
"""Diameter of the largest model's marker."""

_WIDE: Final = 6.0
"""Slowest over fastest from which a decade's 1, 2 and 5 are enough ticks."""

_LABELLED: Final = 10
"""Processes up to which each is labelled in a time series."""


def pareto(entries: Sequence[Entry], *, by_accuracy: bool) -> Figure | None:
    """Latency against accuracy or SQNR, a point a run; None when neither is known of any."""
    shown = [(entry, entry.quality) for entry in entries if entry.quality is not None]
    if not shown:
        return None
    largest = max(entry.item.run.artifact.model_bytes for entry, _ in shown)
    crowded = len(entries) > FEW
    points = [_point(entry, quality, largest, crowded=crowded) for entry, quality in shown]
    title = "Accuracy, %" if by_accuracy else "SQNR to the source, dB"
    return {
        "data": [*_fronts(shown), *points],
        "layout": {
            "xaxis": _latency_axis(_axis_title(entries, "Median "), [x for point in points for x in point["x"]]),
            "yaxis": {"title": {"text": title}},
        },
    }


def scale_of(entry: Entry) -> Scale:
    """What a run's figures are of, and in."""
    return SCALES[entry.item.run.schedule.clock]


def _axis_title(entries: Sequence[Entry], of: str = "") -> str:
    scale = scale_of(entries[0])
    words = of + scale.quantity
    return f"{words[0].upper()}{words[1:]}, {scale.unit}"


def _latency_axis(title: str, values_ms: Sequence[float]) -> Figure:
    """Logarithmic; ticks at 1, 2 and 5 of each decade, or evenly spaced where there would be too few of them."""
    low, high = min(values_ms), max(values_ms)
    spacing = "D2" if high / low >= _WIDE else f"L{_step((high - low) / 4 or low / 10)}"
    return {"title": {"text": title}, "type": "log", "dtick": spacing, "tickformat": "~r"}


def _step(rough: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return max(factor for factor in (1, 2, 5) if factor * power <= rough) * power


def _point(entry: Entry, quality: float, largest: int, *, crowded: bool) -> Figure:
    artifact = entry.item.run.artifact
    return {
        "type": "scatter",
        "x": [entry.item.summary.median_ns / 1e6],
        "y": [quality],
        "error_x": _whiskers(entry.item.summary),
        "cliponaxis": False,
        "mode": "markers" if crowded and not entry.optimal else "markers+text",
        "text": [str(entry.number)],
        "textposition": "top center",
        "hovertext": [_hover(entry, quality)],
        "hoverinfo": "text",
        "marker": {
            "symbol": entry.look.symbol + ("" if entry.optimal else "-open"),
            "size": [artifact.model_bytes],
            "sizemode": "area",
            "sizeref": 2 * largest / _LARGEST_PX**2,
            "sizemin": 4,
            "opacity": 0.85,
        },
        "meta": {"run": entry.number, "colour": entry.look.colour},
    }


def _whiskers(summary: Summary) -> Figure:
    interval = summary.median_ci
    if interval is None:
        return {"visible": False}
    return {
        "array": [(interval.high_ns - summary.median_ns) / 1e6],
        "arrayminus": [(summary.median_ns - interval.low_ns) / 1e6],
        "thickness": 1.5,
        "width": 0,
    }


def _hover(entry: Entry, quality: float) -> str:
    artifact = entry.item.run.artifact
    good = f"{quality:.1f} % accuracy"
    if artifact.accuracy is None:
        good = "equal to the source" if quality == EXACT_DB else f"{quality:.0f} dB"
    lines = [
        f"<b>{escape(entry.name)}</b>",
        f"{amount(entry.item.summary.median_ns, entry.item.run)}, {good}, {artifact.model_bytes / 1e3:,.0f} kB",
        escape(entry.item.run.device),
    ]
    return "<br>".join([*lines, "Pareto-optimal"] if entry.optimal else lines)


def _fronts(shown: Sequence[tuple[Entry, float]]) -> list[Figure]:
    """The optimal runs of each device, joined by a step: what lies below and to the right of it is beaten."""
    fronts = []
    for group in dict.fromkeys(entry.group for entry, _ in shown):
        points = sorted(
            (entry.item.summary.median_ns / 1e6, quality)
            for entry, quality in shown
            if entry.optimal and entry.group == group
        )
        fronts.append(
            {
                "type": "scatter",
                "x": [x for x, _ in points],
                "y": [y for _, y in points],
                "mode": "lines",
                "line": {"shape": "hv", "dash": "dot", "width": 1},
                "hoverinfo": "skip",
                "meta": {"colour": "muted"},
            }
        )
    return fronts


def cumulative(entries: Sequence[Entry]) -> Figure:
    """The share of inferences that end within a time, a line a run; muted runs lie beneath the others."""
    ordered = sorted(entries, key=lambda entry: entry.look.colour != "muted")
    axis = {"title": {"text": "Inferences that are done, %"}, "range": [0, 101]}
    lines = [_steps(entry) for entry in ordered]
    fastest, slowest = min(line["x"][0] for line in lines), max(line["x"][-1] for line in lines)
    return {
        "data": lines,
        "layout": {
            "xaxis": _latency_axis(_axis_title(entries), [fastest, slowest]),
            "yaxis": axis,
            "hovermode": "closest",
        },
    }


def _steps(entry: Entry) -> Figure:
    curve = distribution(list(chain.from_iterable(_samples(entry))))
    muted = entry.look.colour == "muted"
    return {
        "type": "scatter",
        "x": curve.latency_ms,
        "y": curve.percent,
        "mode": "lines",
        "name": escape(entry.name),
        "line": {"shape": "hv", "dash": entry.look.dash, "width": 1 if muted else 2},
        "hovertemplate": f"%{{y:.1f}} % within %{{x}} {scale_of(entry).unit}<extra>%{{fullData.name}}</extra>",
        "meta": {"run": entry.number, "colour": entry.look.colour},
    }


def _samples(entry: Entry) -> list[Sequence[int]]:
    return [repetition.samples_ns for repetition in entry.item.run.repetitions]


def timeline(entry: Entry) -> dict[str, Any]:
    """One run over time: `figure`, a `label` to choose it by, and a `note` on what lies above the axis."""
    stretches = over_time(_samples(entry))
    top = top_ms(stretches)
    slower = beyond(list(chain.from_iterable(_samples(entry))), top)
    axis: Figure = {"title": {"text": _axis_title([entry])}}
    if slower:
        low = min(chain.from_iterable(item.low_ms for item in stretches))
        axis["range"] = [low - 0.05 * (top - low), top]
    colour = "s1" if entry.look.colour == "muted" else entry.look.colour
    return {
        "run": entry.number,
        "label": _timeline_label(entry),
        "note": _note(slower, entry),
        "figure": {
            "data": [
                _band([(item.sample, item.low_ms, item.high_ms) for item in stretches], colour),
                _line([(item.sample, item.middle_ms) for item in stretches], colour, scale_of(entry).unit),
            ],
            "layout": {
                "xaxis": {"title": {"text": "Inference, in order over all processes"}, "rangemode": "tozero"},
                "yaxis": axis,
                **_separators([item.end for item in stretches]),
            },
        },
    }


def _timeline_label(entry: Entry) -> str:
    change = drift(_samples(entry))
    words = [amount(entry.item.summary.median_ns, entry.item.run)]
    if change is not None:
        words.append(f"{round(100 * change, 1) + 0:+.1f} % from first to last quarter")
    return f"{entry.name} ({', '.join(words)})"


def _note(slower: tuple[int, float] | None, entry: Entry) -> str:
    if slower is None:
        return "Every inference lies within the axis."
    many, slowest_ms = slower
    slowest = amount(1e6 * slowest_ms, entry.item.run)
    return f"{many:,} of {entry.item.summary.count:,} inferences lie above the axis, the slowest at {slowest}."


def _band(parts: Sequence[tuple[list[float], list[float], list[float]]], colour: str) -> Figure:
    """From the fastest to the slowest of each bin: a closed outline a process, gaps between."""
    x: list[float | None] = []
    y: list[float | None] = []
    for sample, low, high in parts:
        x += [*sample, *reversed(sample), None]
        y += [*high, *reversed(low), None]
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "lines",
        "fill": "toself",
        "line": {"width": 0.75},
        "opacity": 0.6,
        "hoverinfo": "skip",
        "meta": {"colour": colour},
    }


def _line(parts: Sequence[tuple[list[float], list[float]]], colour: str, unit: str) -> Figure:
    return {
        "type": "scatter",
        "x": list(chain.from_iterable([*sample, None] for sample, _ in parts)),
        "y": list(chain.from_iterable([*middle, None] for _, middle in parts)),
        "mode": "lines",
        "line": {"width": 1.75},
        "hovertemplate": f"median %{{y}} {unit} near inference %{{x:.0f}}<extra></extra>",
        "meta": {"colour": colour},
    }


def _separators(ends: Sequence[int]) -> Figure:
    shapes = [
        {"type": "line", "x0": end + 0.5, "x1": end + 0.5, "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 1}}
        for end in ends[:-1]
    ]
    if len(ends) > _LABELLED:
        return {"shapes": shapes, "annotations": []}
    labels = [
        {
            "x": (start + end) / 2,
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "text": f"process {index}" if index == 1 else str(index),
        }
        for index, (start, end) in enumerate(pairwise([0, *ends]), 1)
    ]
    return {"shapes": shapes, "annotations": labels}
