"""The zoo's matrix on the terminal: a table for each format, every refusal with its reason, and the totals."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alternating import Check
from zoo_cells import EQUAL_DB, Cell, Cells, Model

_WIDTH: Final = 110
_FEWEST: Final = {"fp32": 0.9, "int8": 0.8}
"""The share of cells that must have parity."""

_COLUMN: Final = 15
_DIRECT: Final = 9


@dataclass(kw_only=True)
class Row:
    """A model's cells: by edgekit, by the library's own call, and what is known to be nobody's fault here.

    Attributes:
        planned: The cells that `edgekit routes` promises.
        outside: A cause outside edgekit for each cell that has none of parity.
    """

    model: Model
    folder: Path
    planned: Sequence[tuple[str, str]]
    edgekit: Cells
    outside: Mapping[str, str]
    direct: Cells = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    def good(self, format_: str, precision: str) -> bool:
        """Whether edgekit's cell has parity."""
        cell = self.edgekit.get(f"{format_} {precision}")
        return cell is not None and cell.good(precision)

    def red(self) -> Iterator[tuple[str, str]]:
        """Cells without parity."""
        return (pair for pair in self.planned if " ".join(pair) in self.edgekit and not self.good(*pair))

    def unexplained(self) -> list[str]:
        """Red cells that no cause outside edgekit is known of."""
        return [" ".join(pair) for pair in self.red() if " ".join(pair) not in self.outside]

    def behind(self) -> list[str]:
        """Cells that the library's own call fills and edgekit does not."""
        return [label for label, cell in self.direct.items()
                if cell.good(label.split()[1]) and not self.good(*label.split())]  # fmt: skip


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """A table for each format: a row for each model."""
    formats = dict.fromkeys(format_ for row in rows for format_, _ in row.planned)
    reasons: dict[str, int] = {}
    for format_ in formats:
        precisions = list(dict.fromkeys(p for row in rows for f, p in row.planned if f == format_))
        beside = list(dict.fromkeys(
            label.split()[1] for row in rows for label in row.direct if label.split()[0] == format_
        ))  # fmt: skip
        head = "".join(f"{precision:>{_COLUMN}}" for precision in precisions)
        yield f"{format_:<19}{head}  |{''.join(f'{precision:>{_DIRECT}}' for precision in beside)}"
        for row in rows:
            told = "".join(f"{_told(row, format_, precision, reasons):>{_COLUMN}}" for precision in precisions)
            direct = "".join(f"{_direct(row, format_, precision):>{_DIRECT}}" for precision in beside)
            yield f"{row.name:<19}{told}  |{direct}"
        yield ""
    yield "A cell: SQNR to the source in dB, kB, seconds beyond loading; behind the bar the library's own call, dB."
    for reason, number in reasons.items():
        yield from textwrap.wrap(f"[{number}] {reason}", _WIDTH, subsequent_indent="     ")
    yield ""


def _told(row: Row, format_: str, precision: str, reasons: dict[str, int]) -> str:
    label = f"{format_} {precision}"
    cell = row.edgekit.get(label)
    if cell is None:
        return "-"
    if cell.good(precision):
        return f"{_db(cell)}{_kb(cell.size):>5}{cell.seconds:5.1f}"
    why = row.outside.get(label, "")
    reason = f"{cell.why(precision)} ({why})" if why else f"{cell.why(precision)} (NOT EXPLAINED)"
    number = reasons.setdefault(reason, len(reasons) + 1)
    return f"{'' if cell.sqnr_db is None else f'{cell.sqnr_db:.0f} '}[{number}]"


def _direct(row: Row, format_: str, precision: str) -> str:
    cell = row.direct.get(f"{format_} {precision}")
    if cell is None:
        return "-"
    if not cell.made or cell.sqnr_db is None:
        return "no"
    return _db(cell) if cell.good(precision) else f"({_db(cell)})"


def _db(cell: Cell) -> str:
    return "=" if cell.sqnr_db == EQUAL_DB else f"{cell.sqnr_db:.0f}"


def _kb(size: int) -> str:
    return f"{size / 1e3:.0f}" if size < 9.95e6 else f"{size / 1e6:.0f}M"  # noqa: RUF100


def totals(rows: Sequence[Row]) -> tuple[list[str], dict[str, dict[str, int]]]:
    """How many cells of each precision have parity, by edgekit and by the library's own call."""
    facts: dict[str, dict[str, int]] = {}
    for row in rows:
        for format_, precision in row.planned:
            label = f"{format_} {precision}"
            if label not in row.edgekit:
                continue
            count = facts.setdefault(precision, {"cells": 0, "edgekit": 0, "direct_cells": 0, "direct": 0})
            count["cells"] += 1
            count["edgekit"] += row.good(format_, precision)
            if label in row.direct:
                count["direct_cells"] += 1
                count["direct"] += row.direct[label].good(precision)
    return [_counted(*item) for item in facts.items()], facts


def _counted(precision: str, count: Mapping[str, int]) -> str:
    said = f"{precision:<14} {count['edgekit']:4} of {count['cells']:4} cells have parity ({_share(count):.0%})"
    direct = f"; by the library's own call {count['direct']} of {count['direct_cells']}"
    return said + (direct if count["direct_cells"] else "")


def _share(count: Mapping[str, int]) -> float:
    return count["edgekit"] / count["cells"]


def checks(rows: Sequence[Row], facts: Mapping[str, Mapping[str, int]]) -> list[Check]:
    """The bars."""
    bars = [
        Check(f"{precision} cells with parity", _share(facts[precision]), 1.0, least)
        for precision, least in _FEWEST.items()
        if precision in facts
    ]
    return [
        *bars,
        Check("red cells without a cause outside edgekit", sum(len(row.unexplained()) for row in rows), 0),
        Check("cells that only the library's own call fills", sum(len(row.behind()) for row in rows), 0),
    ]
