"""The runs of a report: grouped by device, numbered, and which of them no other beats."""

from collections.abc import Callable, Hashable, Sequence
from itertools import count, groupby
from typing import Final

import msgspec

from edgekit.report import Figures

FEW: Final = 12
"""Runs up to which each has a look of its own; of more, only the Pareto-optimal ones are in colour."""

EXACT_DB: Final = 150.0
"""Where an artifact that equals its source to the bit is drawn: beyond what float32 can show (24 bit, 144 dB)."""

COLOURS: Final = 6
"""Series colours that the style sheet defines, `--s1` and on."""

_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")

_SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is drawn in every chart: the style sheet's colour variable, Plotly's dash and symbol."""

    colour: str
    dash: str = "solid"
    symbol: str = "circle"


MUTED: Final = Look(colour="muted")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the report.

    Attributes:
        number: What it goes by in every table and chart, from 1.
        item: Its figures.
        group: Device and kind; only runs of one group are compared.
        quality: Accuracy in percent, or SQNR in dB where no run of the report has an accuracy; None when unknown.
        optimal: No sound run of its group is both as fast and as good, and better in one of them.
        look: How it is drawn.
    """

    number: int
    item: Figures
    group: tuple[str, str]
    quality: float | None
    optimal: bool
    look: Look

    @property
    def name(self) -> str:
        """The artifact's name after the run's number."""
        return f"{self.number} · {self.item.run.artifact.name}"


def group_of(item: Figures) -> tuple[str, str]:
    """What must agree for two runs to be compared: the device and its kind."""
    return item.run.device, item.run.environment.kind


def is_sound(item: Figures) -> bool:
    """Whether nothing speaks against its computing what its source does."""
    return item.run.golden is None or item.run.golden.passed


def measured_by_accuracy(items: Sequence[Figures]) -> bool:
    """Whether accuracy is known of any run, and so is what all are compared by."""
    return any(item.run.artifact.accuracy is not None for item in items)


def entries(items: Sequence[Figures]) -> list[Entry]:
    """Number the runs by device, source and latency."""
    ordered = sorted(items, key=lambda item: (group_of(item), item.run.artifact.source, item.summary.median_ns))
    by_accuracy = measured_by_accuracy(items)
    quality = _accuracy_percent if by_accuracy else _drawn_db
    optimal = _optimal(ordered, quality, by_accuracy=by_accuracy)
    looks = _looks(ordered, optimal)
    return [
        Entry(
            number=number, item=item, group=group_of(item), quality=quality(item), optimal=best, look=look
        )
        for number, item, best, look in zip(count(1), ordered, optimal, looks)
    ]  # fmt: skip


def _accuracy_percent(item: Figures) -> float | None:
    accuracy = item.run.artifact.accuracy
    return None if accuracy is None else 100 * accuracy


def _drawn_db(item: Figures) -> float | None:
    value = item.sqnr_db
    return None if value is None else min(value, EXACT_DB)


def _optimal(
    items: Sequence[Figures], quality: Callable[[Figures], float | None], *, by_accuracy: bool
) -> list[bool]:  # fmt: skip
    """SQNR is against an artifact's own source, so by SQNR only artifacts of one source compete."""

    def rivals(item: Figures) -> Hashable:
        return group_of(item) if by_accuracy else (group_of(item), item.run.artifact.source)

    points = [
        (rivals(item), item.summary.median_ns, quality(item)) if is_sound(item) else (None, 0.0, None)
        for item in items
    ]  # fmt: skip
    return [
        own is not None
        and not any(
            other is not None and who == rival and time <= median and other >= own and (time, other) != (median, own)
            for rival, time, other in points
        )
        for who, median, own in points
    ]


def _looks(items: Sequence[Figures], optimal: Sequence[bool]) -> list[Look]:
    if len(items) > FEW:
        colour = count()
        return [Look(colour=_colour(next(colour))) if best else MUTED for best in optimal]
    families = [(item.run.artifact.source, item.run.artifact.format, group_of(item)) for item in items]
    precisions = [item.run.artifact.precision for item in items]
    if len(set(zip(families, precisions, strict=True))) < len(items) or len(set(families)) > COLOURS:
        return [_look(index % COLOURS, index // COLOURS) for index in range(len(items))]
    known, variants = list(dict.fromkeys(families)), sorted(set(precisions), key=lambda name: (name != "fp32", name))
    return [
        _look(known.index(family), variants.index(precision))
        for family, precision in zip(families, precisions, strict=True)
    ]


def _look(colour: int, variant: int) -> Look:
    return Look(
        colour=_colour(colour), dash=_DASHES[variant % len(_DASHES)], symbol=_SYMBOLS[variant % len(_SYMBOLS)]
    )  # fmt: skip


def _colour(index: int) -> str:
    return f"s{index % COLOURS + 1}"


def by_group(runs: Sequence[Entry]) -> list[list[Entry]]:
    """The entries of each device and kind."""
    return [list(group) for _, group in groupby(runs, key=lambda entry: entry.group)]
