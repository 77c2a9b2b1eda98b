"""A stand-in for TensorRT's trtexec, for machines without one: takes its options and writes its files.

Options and formats are those of github.com/NVIDIA/TensorRT (samples/common/sampleOptions.cpp, sampleReporting.cpp).
What it calls an engine is the ONNX file, which ONNX Runtime executes. STAND_IN_VERSION is the version that it
claims (`8201`, `100300`).
"""

import importlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

onnxruntime = importlib.import_module("onnxruntime")  # by name: it has no types
VERSION = os.environ.get("STAND_IN_VERSION", "100300")
ENGINE = b"stand-in engine\n"
OPTIONS = {
    "--onnx", "--saveEngine", "--loadEngine", "--noTF32", "--fp16", "--int8", "--shapes", "--loadInputs",
    "--iterations", "--warmUp", "--duration", "--useSpinWait", "--exportTimes", "--exportOutput",
    "--dumpProfile", "--exportProfile", "--help",
    *(("--skipInference", "--memPoolSize") if len(VERSION) > 4 else ("--buildOnly", "--workspace")),
}  # fmt: skip


def fail(message: str) -> None:
    """End as trtexec does."""
    print(f"[11/23/2026-12:00:00] [E] {message}", file=sys.stderr)
    print(f"&&&& FAILED TensorRT.trtexec [TensorRT v{VERSION}] # {' '.join(sys.argv)}", file=sys.stderr)
    sys.exit(1)


def options() -> dict[str, str]:
    """The command line, of options that this version has."""
    found = {}
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name not in OPTIONS:
            fail(f"Unknown option: {name} {value}")
        found[name] = value
    return found


def session(path: str) -> Any:
    """The model in ONNX Runtime."""
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def build(given: dict[str, str]) -> None:
    """Parse the ONNX file, and write it as an engine."""
    model = Path(given["--onnx"])
    try:
        session(str(model))
    except Exception as error:  # noqa: BLE001 - whatever it is, TensorRT would not parse it either
        print("[11/23/2026-12:00:00] [E] [TRT] ModelImporter.cpp:688: While parsing node number 0", file=sys.stderr)
        fail(f"Failed to parse onnx file: {type(error).__name__}")
    print("[11/23/2026-12:00:00] [I] Engine built in 0.01 sec.")
    Path(given["--saveEngine"]).write_bytes(ENGINE + model.read_bytes())
    if not {"--skipInference", "--buildOnly"} & given.keys():
        fail("Inference was not to be run.")


def inputs(given: dict[str, str], model: Any) -> dict[str, Any]:
    """Raw files, of exactly the size that the engine wants."""
    files = dict(pair.rsplit(":", 1) for pair in given["--loadInputs"].split(","))
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64 if len(VERSION) > 4 else np.int32}
    found = {}
    for node in model.get_inputs():
        raw = np.frombuffer(Path(files.pop(node.name)).read_bytes(), types[node.type])
        shape = [size if isinstance(size, int) else 1 for size in node.shape]
        if raw.size != np.prod(shape):
            fail(f"Wrong number of bytes for input {node.name}")
        found[node.name] = raw.reshape(shape).astype(np.int64 if "int64" in node.type else np.float32)
    if files:
        fail(f"Cannot find input tensor with name {next(iter(files))!r}")
    return found


def timings(given: dict[str, str], model: Any, values: dict[str, Any]) -> Iterator[tuple[float, float, float]]:
    """Seconds since the start, and milliseconds of each inference, warm-up among them, as trtexec counts them."""
    warmup_s, duration_s = int(given.get("--warmUp", "200")) / 1e3, int(given.get("--duration", "3"))
    least, begun, counted = int(given.get("--iterations", "10")), time.perf_counter(), 0
    while True:
        start = time.perf_counter()
        model.run(None, values)
        end = time.perf_counter()
        yield 1e3 * (start - begun), 1e3 * (end - begun), 1e3 * (end - start)
        counted += start - begun >= warmup_s
        if counted >= least and end - begun >= warmup_s + duration_s:
            return


def export_times(path: str, found: list[tuple[float, float, float]]) -> None:
    """As `exportJSONTrace`."""
    rows = []
    for start, end, compute in found:
        row = {
            "startEnqMs": start, "endEnqMs": start + 0.001, "startH2dMs": start, "endH2dMs": start + 0.002,
            "startComputeMs": start, "endComputeMs": end, "startD2hMs": end, "endD2hMs": end + 0.003,
            "h2dMs": 0.002, "computeMs": compute, "d2hMs": 0.003, "latencyMs": compute + 0.005,
        }  # fmt: skip
        rows.append("{ " + ", ".join(f'"{name}" : {value:g}' for name, value in row.items()) + " }\n")
    Path(path).write_text("[\n  " + ", ".join(rows) + "]\n")


def export_output(path: str, model: Any, values: dict[str, Any]) -> None:
    """As `exportJSONOutput`."""
    rows = []
    for node, array in zip(model.get_outputs(), model.run(None, values), strict=True):
        dimensions, numbers = "x".join(map(str, array.shape)), ", ".join(f"{number:g}" for number in array.ravel())
        rows.append(
            f'{{ "name" : "{node.name}"\n  , "dimensions" : "{dimensions}"\n  , "values" : [ {numbers} ]\n  }}\n'
        )
    Path(path).write_text("[\n  " + ", ".join(rows) + "]\n")


def infer(given: dict[str, str]) -> None:
    """Run an engine."""
    engine = Path(given["--loadEngine"]).read_bytes()
    if not engine.startswith(ENGINE):
        fail("Engine deserialization failed")
    print("[11/23/2026-12:00:00] [I] Engine deserialized in 0.0123 sec.")
    model = onnxruntime.InferenceSession(engine.removeprefix(ENGINE), providers=["CPUExecutionProvider"])
    values = inputs(given, model)
    found = list(itertools.islice(timings(given, model, values), 100_000))
    if "--exportTimes" in given:
        export_times(given["--exportTimes"], found)
    if "--exportOutput" in given:
        export_output(given["--exportOutput"], model, values)
    if "--exportProfile" in given:
        layer = '{ "name" : "Gemm_0", "timeMs" : 1.5, "averageMs" : 0.015, "percentage" : 100 }'
        Path(given["--exportProfile"]).write_text(f'[\n  {{ "count" : {len(found)} }}\n, {layer}\n]\n')


def main() -> None:
    """Do what the command line says."""
    print(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{VERSION}] # {' '.join(sys.argv)}")
    given = options()
    if "--help" in given:
        print("=== Model Options ===", *(f"  {name}=<value>  …" for name in sorted(OPTIONS)), sep="\n")
    elif "--onnx" in given:
        build(given)
    else:
        infer(given)
    print(f"&&&& PASSED TensorRT.trtexec [TensorRT v{VERSION}] # {' '.join(sys.argv)}")


if __name__ == "__main__":
    main()
