"""Every model of the zoo into every format and precision that edgekit plans, beside the libraries' own calls.

For each model one `edgekit convert`, then each library's own call, a process for each format, for the precisions with
a bar. What was measured is kept in a folder, by model: a run that was cut goes on where it was, as long as the code
and the models are the same (`--resume`: whatever they are).

onnx2tf pins old versions of NumPy and TensorFlow: `python3 -m venv X && X/bin/pip install onnx2tf==1.29.24`, then
`--onnx2tf X/bin/python`.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from alternating import conclude
from demo_files import ROOT
from zoo_cells import Cells, Model, recall, remember
from zoo_direct import direct_cells, source_of
from zoo_edgekit import convert_cells, routes
from zoo_matrix import Row, checks, tables, totals

sys.path.insert(0, str(ROOT / "tests"))

from zoo_extra import extras

BARRED: Final = ("fp32", "int8")
"""Precisions with a bar, for which the libraries' own calls are made too."""

_CODE: Final = ("toolkit/edgekit", "converters", "tests/zoo", "setup.cfg")
_DIRECT_CODE: Final = ("scripts/benches/direct/zoo", "tests/zoo", "setup.cfg")


def main() -> int:
    """Measure what is not kept yet, and print the matrix."""
    options = _options()
    models = _chosen(options)
    promised = [item for item in routes() if not item["missing"]]
    rows = [row for model in models if (row := _row(model, options, promised)) is not None]
    if not options.no_direct:
        for row in rows:  # last, so that a run that is cut has edgekit's
            row.direct = _directly(row, options)
    lines, facts = totals(rows)
    cells = {row.name: {"edgekit": _told(row.edgekit), "direct": _told(row.direct), "unexplained": row.unexplained(),
                        "behind": row.behind()} for row in rows}  # fmt: skip
    behind = [f"only the library's own call: {row.name} {label}" for row in rows for label in row.behind()]
    return conclude("zoo", [*tables(rows), *lines, *behind], {"models": cells, "totals": facts}, checks(rows, facts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench zoo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these models alone")
    parser.add_argument("--formats", nargs="+", default=[], metavar="FORMAT", help="these formats alone")
    parser.add_argument("--precisions", nargs="+", default=[], metavar="PRECISION", help="these precisions alone")
    parser.add_argument("--extra", type=Path, help="a folder of models outside the repository (see zoo_extra.py)")
    parser.add_argument("--limit", type=float, default=240, metavar="SECONDS", help="time for one cell")
    parser.add_argument("--keep", type=Path, default=ROOT / "zoo-out", metavar="FOLDER", help="where cells are kept")
    parser.add_argument("--resume", action="store_true", help="take what is kept, whatever code it is of")
    parser.add_argument("--no-direct", action="store_true", help="without the libraries' own calls")
    parser.add_argument("--onnx2tf", default=os.environ.get("ONNX2TF", ""), metavar="PYTHON",
                        help="the Python of an environment that has onnx2tf, which pins old versions")  # fmt: skip
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> Sequence[Model]:
    from zoo.catalog import ZOO

    models: list[Model] = [*ZOO, *(extras(options.extra) if options.extra else ())]
    names = [model.name for model in models]
    wrong = [name for name in options.only if name not in names]
    if wrong:
        raise SystemExit(f"zoo: there is no model {wrong[0]!r}; there are {', '.join(names)}")
    return [model for model in models if not options.only or model.name in options.only]


def _row(model: Model, options: argparse.Namespace, promised: Sequence[dict[str, Any]]) -> Row | None:
    folder = options.keep / "models" / model.name
    try:
        model.write(folder)
    except subprocess.CalledProcessError as error:
        print(f"zoo: {model.name} left out, its files cannot be had: {_last(error.stderr)}", file=sys.stderr)
        return None
    kind = source_of(model, folder).kind
    planned = {
        pair: None
        for item in promised
        if item["kind"] == kind and _wanted(pair := (item["format"], item["precision"]), options)
    }
    cells = _measured(model, folder, list(planned), options)
    return Row(
        model=model, folder=folder, planned=list(dict.fromkeys(planned)), edgekit=cells, outside=_outside(model, cells)
    )


def _wanted(pair: tuple[str, str], options: argparse.Namespace) -> bool:
    format_, precision = pair
    return format_ in (options.formats or [format_]) and precision in (options.precisions or [precision])


def _last(text: str) -> str:
    return next(iter(reversed(text.strip().splitlines())), "nothing said")


def _measured(model: Model, folder: Path, planned: Sequence[tuple[str, str]], options: argparse.Namespace) -> Cells:
    file, stamp = options.keep / "cells" / f"{model.name}.json", _stamp(_CODE)
    cells = recall(file, "" if options.resume else stamp)
    left = [pair for pair in planned if " ".join(pair) not in cells]
    if left:
        print(f"zoo: {model.name}: {len(left)} cells", file=sys.stderr)
        cells |= convert_cells(model, folder, left, options.limit)
        remember(file, stamp, cells)
    return cells


def _directly(row: Row, options: argparse.Namespace) -> Cells:
    os.environ["ONNX2TF"] = options.onnx2tf
    file, stamp = options.keep / "direct" / f"{row.name}.json", _stamp(_DIRECT_CODE)
    cells = recall(file, "" if options.resume else stamp)
    for format_ in dict.fromkeys(format_ for format_, _ in row.planned):
        wanted = [precision for other, precision in row.planned if other == format_ and precision in BARRED]
        left = [precision for precision in wanted if f"{format_} {precision}" not in cells]
        if left:
            print(f"zoo: {row.name}: {format_} by the library's own call", file=sys.stderr)
            cells |= direct_cells(row.model, row.folder, format_, left, options.limit)
            remember(file, stamp, cells)
    return cells


def _outside(model: Model, cells: Cells) -> dict[str, str]:
    """The causes outside edgekit that are known of cells without parity."""
    from zoo.outside import cause_outside

    red = {label: cell for label, cell in cells.items() if not cell.good(label.split()[1])}
    causes = {label: cause_outside(model.name, label, cell.why(label.split()[1])) for label, cell in red.items()}
    return {label: cause for label, cause in causes.items() if cause}


def _told(cells: Cells) -> dict[str, Any]:
    import msgspec

    return {label: msgspec.to_builtins(cell) | {"good": cell.good(label.split()[1])} for label, cell in cells.items()}


def _stamp(parts: Sequence[str]) -> str:
    """One value for the content of these folders and files."""
    found = hashlib.sha256()
    for path in sorted(path for part in parts for path in _files(ROOT / part)):
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    yield from place.rglob("*.py") if place.is_dir() else [place]


if __name__ == "__main__":
    sys.exit(main())
