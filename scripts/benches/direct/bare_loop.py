"""A bare loop on a runtime's own API: `bare_loop.py MODEL GOLDEN SECONDS [ENGINE]` prints a median in nanoseconds.

What a user would write who had no edgekit: load (`.tflite` or `.ptl`), warm up for half a second, time every inference.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

WARMUP_S: Final = 0.5


def _tflite(path: str, image: Any) -> Callable[[], Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    invoke: Callable[[], Any] = interpreter.invoke
    return invoke


def _torchscript(path: str, image: Any, engine: str) -> Callable[[], Any]:
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    torch.set_num_threads(1)
    if engine:
        torch.backends.quantized.engine = engine
    torch.inference_mode().__enter__()
    module, tensor = _load_for_lite_interpreter(path), torch.from_numpy(image)
    return lambda: module(tensor)


def _samples_ns(run: Callable[[], Any], seconds: float) -> list[int]:
    samples = []
    clock = time.perf_counter_ns
    end = clock() + seconds * 1e9
    while clock() < end:
        start = clock()
        run()
        samples.append(clock() - start)
    return samples


def main(path: str, golden: str, seconds: str, engine: str = "") -> None:
    """Print the median."""
    warnings.simplefilter("ignore")
    with np.load(golden) as arrays:
        image = arrays["in:image"][0]
    run = _tflite(path, image) if Path(path).suffix == ".tflite" else _torchscript(path, image, engine)
    _samples_ns(run, WARMUP_S)
    print(statistics.median(_samples_ns(run, float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
