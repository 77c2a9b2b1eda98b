"""The cells of one model by `edgekit convert`: one command, so that the source is loaded once a reader."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from zoo_cells import Cell, Cells, Model, worst_db

_PROGRAM: Final = Path(sys.executable).with_name("edgekit")


def routes() -> list[dict[str, Any]]:
    """What `edgekit routes` says: kind, format, precision, and what is missing here."""
    found = subprocess.run([_PROGRAM, "routes", "--json"], check=True, capture_output=True, text=True)
    return list(json.loads(found.stdout)["routes"])


def convert_cells(model: Model, folder: Path, wanted: Sequence[tuple[str, str]], limit_s: float) -> Cells:
    """Convert a model into every format and precision that is wanted.

    Args:
        model: Its files are written.
        folder: Where they are.
        wanted: Formats with precisions.
        limit_s: The time for one artifact; a command has so much for each of its own.
    """
    found: Cells = {}
    planned = list(wanted)
    if any(_refusal(model, folder, *rectangle) for rectangle in _rectangles(wanted)):  # one refuses all of a command
        refusals = {pair: _refusal(model, folder, [pair[0]], [pair[1]]) for pair in wanted}
        planned = [pair for pair in wanted if not refusals[pair]]
        found = {" ".join(pair): Cell(made=False, reason=reason) for pair, reason in refusals.items() if reason}
    for formats, precisions in _rectangles(planned):
        found |= _command(model, folder, formats, precisions, limit_s)
    return found


def _rectangles(planned: Sequence[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Formats that have the same precisions: a command takes each of one with each of the other."""
    by_format: dict[str, list[str]] = {}
    for format_, precision in planned:
        by_format.setdefault(format_, []).append(precision)
    by_precisions: dict[tuple[str, ...], list[str]] = {}
    for format_, precisions in by_format.items():
        by_precisions.setdefault(tuple(precisions), []).append(format_)
    yield from ((formats, list(precisions)) for precisions, formats in by_precisions.items())


def _words(model: Model, folder: Path, formats: Sequence[str], precisions: Sequence[str]) -> list[str]:
    words = [str(_PROGRAM), "convert", *model.words(folder), "--calibration", str(folder / "samples.npz"), "--json"]
    words += ["--eval", str(folder / "test.npz")] if model.labels else []
    words += [word for format_ in formats for word in ("--format", format_)]
    return words + [word for precision in precisions for word in ("--precision", precision)]


def _refusal(model: Model, folder: Path, formats: Sequence[str], precisions: Sequence[str]) -> str:
    """Why it is refused before any work; empty when it is not."""
    said = _run([*_words(model, folder, formats, precisions), "--dry-run"], 120)
    return str(said["error"]["cause"]) if "error" in said else ""


def _command(model: Model, folder: Path, formats: Sequence[str], precisions: Sequence[str], limit_s: float) -> Cells:
    labels = [f"{format_} {precision}" for format_ in formats for precision in precisions]
    with tempfile.TemporaryDirectory() as out:
        words = _words(model, folder, formats, precisions)
        words += ["--no-cache", "--timeout", f"{limit_s * len(labels):.0f}s", "--out", out]
        said = _run(words, 3 * limit_s * len(labels))
    if "error" in said:
        return dict.fromkeys(labels, Cell(made=False, reason=str(said["error"]["cause"])))
    cells = {_label(item["manifest"]): _made(item) for item in said["artifacts"]}
    return cells | {item["label"]: _not_made(item) for item in said["failures"]}


def _run(words: Sequence[str], limit_s: float) -> dict[str, Any]:
    """What a command says, as JSON; what is none becomes an error of its own."""
    try:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=limit_s, env=environment)
    except subprocess.TimeoutExpired:
        return {"error": {"cause": f"not done after {limit_s:.0f} s"}}
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        last = next(iter(reversed((done.stderr or done.stdout).splitlines())), "nothing said")
        return {"error": {"cause": f"exit code {done.returncode}: {last}"}}
    return said


def _label(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['format']} {manifest['precision']}"


def _made(item: Mapping[str, Any]) -> Cell:
    manifest = item["manifest"]
    accuracy = manifest["parity"].get("accuracy")
    lost = None if accuracy is None else 100 * (accuracy["source"] - accuracy["artifact"])
    name = manifest["model"]
    size = sum(file["bytes"] for file in manifest["files"] if file["name"].partition("/")[0] == name)
    return Cell(
        made=True,
        sqnr_db=worst_db(manifest["parity"]["outputs"]),
        drop_points=lost,
        size=size,
        seconds=item["seconds"],
    )


def _not_made(item: Mapping[str, Any]) -> Cell:
    return Cell(made=False, reason=item["cause"], seconds=item["seconds"])
