"""A run's latency as plots of characters: how it is distributed, and how it goes over time."""

import textwrap
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import click

from edgekit.errors import UsageError
from edgekit.html_report.series import Stretch, beyond, distribution, over_time, top_ms
from edgekit.report import SCALES, Scale, amount
from edgekit.run import Run

_WIDTH: Final = 80
_HEIGHT: Final = 16

_BINS: Final = 140
"""Two for each column that the axis leaves: what braille can show."""

_TICKS: Final = 6
"""Labels below a plot; more would touch."""


def print_plot(run: Run) -> None:
    """Print both plots, in no colours, so that they can be piped.

    Raises:
        UsageError: plotext is missing, or too old.
    """
    samples = run.samples_ns
    stretches = over_time(samples, bins=_BINS)
    every, top = list(chain.from_iterable(samples)), top_ms(stretches)
    click.echo(_distribution(every, top, SCALES[run.schedule.clock]))
    click.echo(_over_time(stretches, top, SCALES[run.schedule.clock].unit))
    slower = beyond(every, top)
    if slower:
        line = f"Outside: {slower[0]:,} of {len(every):,} inferences, the slowest {amount(1e6 * slower[1], run)}."
        click.echo(textwrap.fill(line, _WIDTH))


def _distribution(samples_ns: list[int], top: float, scale: Scale) -> str:
    curve = distribution(samples_ns)
    shown = [(x, y) for x, y in zip(curve.latency_ms, curve.percent, strict=True) if x <= top]
    figure = _figure("Share of inferences that are done, %", f"{scale.quantity}, {scale.unit}")
    figure.draw(figure.signal([x for x, _ in shown], [y for _, y in shown], marker="braille").lines())
    _label(figure, "x", [x for x, _ in shown], "{:.4g}")
    _label(figure, "y", [0, 100], "{:.0f}")
    return _text(figure)


def _over_time(stretches: Sequence[Stretch], top: float, unit: str) -> str:
    """The median and the slowest of each bin."""
    figure = _figure(f"Median and slowest of neighbouring inferences, {unit}", _order(len(stretches)))
    low = min(chain.from_iterable(item.low_ms for item in stretches))
    high = min(top, max(chain.from_iterable(item.high_ms for item in stretches)))
    for item in stretches:
        for heights in (item.middle_ms, item.high_ms):
            figure.draw(figure.signal(item.sample, [min(y, high) for y in heights], marker="braille").lines())
    for item in stretches[:-1]:
        figure.line(item.end + 0.5, "vertical")
    _label(figure, "x", [1, stretches[-1].end], "{:.0f}")
    _label(figure, "y", [low, high], "{:.4g}")
    return _text(figure)


def _order(processes: int) -> str:
    return "inference, in order" + (f" over {processes} processes" if processes > 1 else "")


def _label(figure: Any, axis: str, values: Sequence[float], form: str) -> None:
    """Evenly spaced ticks in plain numbers; plotext's own turn to exponents early."""
    low, high = min(values), max(values)
    if low == high:
        return
    places = [low + (high - low) * step / (_TICKS - 1) for step in range(_TICKS)]
    figure.ruler(axis).lim(low, high)
    figure.ruler(axis).ticks(places, [form.format(place) for place in places])


def _figure(title: str, below: str) -> Any:
    """An empty plot; plotext has one figure for the whole program."""
    figure = _plotext().figure
    figure.clear()
    figure.plot_size(_WIDTH, _HEIGHT)
    figure.theme("colorless")
    figure.title(title)
    figure.label(below, "x")
    return figure


def _text(figure: Any) -> str:
    text: str = _plotext().uncolorize(str(figure.build()))
    return "\n".join(line.rstrip() for line in text.splitlines())


def _plotext() -> Any:
    try:
        import plotext
    except ImportError:
        plotext = None
    if not hasattr(plotext, "figure"):  # 5.x draws by functions of the module
        raise UsageError("Plots on the terminal need plotext 6 or newer.", hint="pip install 'plotext>=6'")
    return plotext
