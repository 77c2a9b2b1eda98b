"""One model into one format by the library's own call, as its manual has it: `python zoo JOB.json`.

No edgekit here. The job says what the source is, its samples, and what is wanted; what came of it goes into
`PRECISION/result.json` or `error.txt`, and the outputs of source and result, to be compared outside, into
`PRECISION/outputs.npz`.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx_calls
import sources
import tflite_calls
import torch_calls

CALLS = tflite_calls.CALLS | onnx_calls.CALLS | torch_calls.CALLS
RUNNERS = {"tflite": tflite_calls.opened, "onnx": onnx_calls.opened} | torch_calls.RUNNERS


def main() -> None:
    """Load, then convert and run both, in each precision."""
    warnings.simplefilter("ignore")
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    call = CALLS.get((sources.FAMILY[job["kind"]], job["format"]))
    if call is None:
        raise SystemExit(f"no library call makes {job['format']} of {job['kind']}")
    source = sources.load(job)
    for precision in job["precisions"]:
        folder = Path(sys.argv[1]).parent / precision
        folder.mkdir()
        try:
            _convert(source, call, job["format"], precision, folder)
        except Exception as error:  # noqa: BLE001 - told, and the next precision is tried
            said = next(iter(str(error).strip().splitlines()), "")
            (folder / "error.txt").write_text(f"{type(error).__name__}: {said}")
        except SystemExit as error:
            (folder / "error.txt").write_text(str(error))


def _convert(source: sources.Source, call: Any, format_: str, precision: str, folder: Path) -> None:
    start = time.perf_counter()
    model = call(source, precision, folder)
    seconds = time.perf_counter() - start
    run = RUNNERS[format_](model, source)
    chosen = source.test or source.samples
    places = np.unique(np.linspace(0, len(chosen) - 1, 8).round().astype(int))
    vectors = [chosen[place] for place in places]
    _save(folder / "outputs.npz", [list(source.run(one).values()) for one in vectors], [run(one) for one in vectors])
    size = sum(part.stat().st_size for part in (model.rglob("*") if model.is_dir() else [model]) if part.is_file())
    lost = None if source.labels is None else 100 * (_right(source, source.run_list) - _right(source, run))
    (folder / "result.json").write_text(json.dumps({"seconds": seconds, "size": size, "drop_points": lost}))


def _save(path: Path, want: list[list[Any]], got: list[list[Any]]) -> None:
    arrays = {f"{role}:{number}": np.stack(values) for role, part in (("want", want), ("got", got))
              for number, values in enumerate(zip(*part, strict=True))}  # fmt: skip
    np.savez(path, **arrays)  # type: ignore[arg-type]  # names hold a colon, which savez takes


def _right(source: Any, run: Any) -> float:
    """The share of the test samples whose greatest score of the first output is at the label."""
    found = [int(np.argmax(run(sample)[0])) for sample in source.test]
    return float(np.mean(np.asarray(found) == source.labels))


if __name__ == "__main__":
    main()
