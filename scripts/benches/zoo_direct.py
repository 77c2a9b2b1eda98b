"""The cells of one model by the library's own call (`direct/zoo`), each format in a process of its own."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from zoo_cells import EQUAL_DB, Cell, Cells, Model

from edgekit.errors import ConversionError
from edgekit.model import SourceModel
from edgekit.parity import compare_outputs
from edgekit.source import open_source, parse_input

_PROGRAM: Final = Path(__file__).parent / "direct" / "zoo"


def source_of(model: Model, folder: Path) -> SourceModel:
    """What the words for `edgekit convert` mean."""
    first, *words = model.words(folder)
    given = [(words[place], words[place + 1]) for place in range(0, len(words), 2)]
    options = dict(given)
    return open_source(
        first,
        weights=options.get("--weights", ""),
        inputs=tuple(parse_input(text) for name, text in given if name == "--input"),
        signature=options.get("--signature", ""),
    )


def direct_cells(model: Model, folder: Path, format_: str, precisions: Sequence[str], limit_s: float) -> Cells:
    """Convert by the library's own call, and compare with the source as edgekit does."""
    source = source_of(model, folder)
    with tempfile.TemporaryDirectory() as work:
        job = Path(work, "job.json")
        job.write_text(json.dumps({
            "kind": source.kind, "path": source.path, "factory": source.factory, "weights": source.weights,
            "signature": source.signature, "format": format_, "precisions": precisions,
            "inputs": [{"name": spec.name, "shape": list(spec.shape)} for spec in source.inputs],
            "samples": str(folder / "samples.npz"), "test": str(folder / "test.npz") if model.labels else "",
        }))  # fmt: skip
        limit_s *= len(precisions)
        try:
            done = subprocess.run(
                [sys.executable, _PROGRAM, job], check=False, capture_output=True, text=True, timeout=limit_s,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )  # fmt: skip
            ended = _reason(done)
        except subprocess.TimeoutExpired:
            ended = f"not done after {limit_s:.0f} s"
        return {f"{format_} {precision}": _cell(Path(work, precision), ended) for precision in precisions}


def _cell(work: Path, ended: str) -> Cell:
    if (work / "error.txt").exists():
        return Cell(made=False, reason=(work / "error.txt").read_text()[:300])
    return _compared(work) if (work / "result.json").exists() else Cell(made=False, reason=ended)


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """How a process ended: by a signal, or with the error's own line."""
    if done.returncode < 0:
        return f"the process died of signal {-done.returncode}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Unsupported|NotImplemented)\w*:", line)]
    return (told or lines or [f"exit code {done.returncode}"])[-1][:300]


def _compared(work: Path) -> Cell:
    result = json.loads((work / "result.json").read_text())
    with np.load(work / "outputs.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    want, got = ([value for name, value in sorted(arrays.items(), key=_place) if name.startswith(role)]
                 for role in ("want", "got"))  # fmt: skip
    try:
        found = [_db(expected, _likest(expected, got)) for expected in want]
    except (ConversionError, ValueError) as error:
        return Cell(made=False, reason=str(error))
    return Cell(made=True, sqnr_db=None if None in found else min(value for value in found if value is not None),
                **result)  # fmt: skip


def _place(item: tuple[str, Any]) -> int:
    return int(item[0].partition(":")[2])


def _likest(expected: Any, got: list[Any]) -> Any:
    """The output that is most like the one expected: a library's call may name and order outputs as it likes."""
    fitting = [value for value in got if value.size == expected.size]
    if not fitting:
        raise ValueError(f"no output has the {expected[0].size} elements of the source's")
    return min(
        fitting, key=lambda value: float(np.nan_to_num(np.square(value.ravel() - expected.ravel()).sum(), nan=1e30))
    )


def _db(expected: Any, got: Any) -> float | None:
    figures = compare_outputs([{"": value} for value in expected], [{"": value} for value in got])[0]
    if not np.isfinite(figures.relative_rms):
        return None
    return EQUAL_DB if figures.sqnr_db is None else figures.sqnr_db
