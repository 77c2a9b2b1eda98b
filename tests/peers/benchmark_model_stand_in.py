"""A stand-in for LiteRT's benchmark_model, for devices that no build of it is at hand for: its options and its output.

Options and formats are those of github.com/google-ai-edge/LiteRT, tflite/tools/benchmark. LiteRT's Python package
executes the model. A test puts a first line with an interpreter before it; STAND_IN tells it to be `old` (before
--output_filepath), to have no GPU (`no-gpu`), or to be `wrong`.
"""

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

litert = importlib.import_module("ai_edge_litert.interpreter")  # by name: it has no types
HABIT = os.environ.get("STAND_IN", "")
OPTIONS = {
    "graph": "", "num_threads": "-1", "num_runs": "50", "min_secs": "1", "max_secs": "150", "warmup_runs": "1",
    "warmup_min_secs": "0.5", "run_frequency": "-1", "input_layer": "", "input_layer_shape": "",
    "input_layer_value_files": "", "output_filepath": "", "use_xnnpack": "", "use_gpu": "", "use_nnapi": "",
    "enable_op_profiling": "false",
}  # fmt: skip


def fail(message: str) -> None:
    """End as it does."""
    print(f"ERROR: {message}", file=sys.stderr)
    print("Benchmarking failed.", file=sys.stderr)
    sys.exit(1)


def options() -> dict[str, str]:
    """The command line over the defaults."""
    found = dict(OPTIONS)
    for word in sys.argv[1:]:
        name, _, value = word.removeprefix("--").partition("=")
        if name == "help":
            print("usage: benchmark_model <flags>\nFlags:", *(f"\t--{key}={OPTIONS[key]}" for key in OPTIONS), sep="\n")
            sys.exit(1)
        if name not in OPTIONS or (name == "output_filepath" and HABIT == "old"):
            print(f"WARN: Unconsumed cmdline flags: {word}")
        else:
            found[name] = value
    return found


def phase(model: Any, least: int, least_s: float, pause_s: float) -> list[int]:
    """Microseconds of each inference of a phase."""
    print(
        f"INFO: Running benchmark for at least {least} iterations and at least {least_s:g} seconds but terminate if …"
    )
    found: list[int] = []
    end = time.perf_counter() + least_s
    while len(found) < least or time.perf_counter() < end:
        start = time.perf_counter()
        model.invoke()
        found.append(round(1e6 * (time.perf_counter() - start)))
        time.sleep(max(0.0, pause_s - found[-1] / 1e6))
    if len(found) == 1:
        print(f"INFO: count=1 curr={found[0]}\n")
        return found
    ordered = sorted(found)
    line = f"count={len(found)} first={found[0]} curr={found[-1]} min={ordered[0]} max={ordered[-1]}"
    line += f" avg={np.mean(found):g} std={np.std(found):.0f}"
    if HABIT != "old":
        p5, median, p95 = (ordered[int(share * len(found))] for share in (0.05, 0.5, 0.95))
        line += f" p5={p5} median={median} p95={p95}"
    print(f"INFO: {line}\n")
    return found


def fill(model: Any, given: dict[str, str]) -> None:
    """Inputs from files, in the order of the interpreter's inputs; by the names of the command line."""
    details = model.get_input_details()
    names = given["input_layer"].split(",") if given["input_layer"] else []
    shapes = given["input_layer_shape"].split(":")
    if names and len(names) != len(details):
        fail(f"The number of inputs is {len(details)}, and {len(names)} were given.")
    if len(names) and len(shapes) != len(names):
        fail(f"The number of items in --input_layer_shape ({given['input_layer_shape']}) must match --input_layer.")
    files = dict(pair.split(":") for pair in given["input_layer_value_files"].split(",") if pair)
    for name, shape, detail in zip(names, shapes, details, strict=False):
        sizes = [int(size) for size in shape.split(",") if size]
        raw = Path(files[name]).read_bytes()
        if sizes != [int(size) for size in detail["shape"]] or len(raw) != np.prod(sizes) * detail["dtype"]().itemsize:
            fail(f"Input {name} has another size than the model's {detail['name']}.")
        model.set_tensor(detail["index"], np.frombuffer(raw, detail["dtype"]).reshape(sizes))


def show_delegates(given: dict[str, str], count: int) -> None:
    """What it says of delegates."""
    if given["use_gpu"] == "true" and HABIT == "no-gpu":
        print("INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.")
    elif given["use_gpu"] == "true":
        print("INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.")
    elif given["use_xnnpack"] != "false":
        print(
            f"INFO: Replacing {count} out of {count} node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 "
            "partitions for subgraph 0."
        )


def show_profile(model: Any, average_us: float) -> None:
    """Its tables, of all operators alike."""
    names = [item["op_name"] for item in model._get_ops_details() if item["op_name"] != "DELEGATE"]
    head = "\t[node type]\t[start]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]"
    print("Profiling Info for Benchmark Initialization:\n=== Run Order ===")
    print(f"{head}\n\tAllocateTensors\t0.000\t1.356\t1.356\t100.000%\t100.000%\t0.000\t1\tAllocateTensors/0\n")
    print("=== Top by Computation Time ===\n\n\nOperator-wise Profiling Info for Regular Benchmark Runs:")
    print(f"============================== Run Order ==============================\n{head}")
    each = average_us / 1e3 / max(1, len(names))
    for place, name in enumerate(names):
        row = f"\t\t{name}\t0.000\t{each:.3f}\t{each:.3f}\t50.000%\t50.000%\t0.000\t1\t[layer{place}]:{place}"
        print(row)
    print("\n============================== Top by Computation Time ==============================")


def main() -> None:
    """Load, warm up, measure."""
    given = options()
    print(f"INFO: STARTING!\nINFO: Graph: [{given['graph']}]")
    plain = {"experimental_op_resolver_type": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    start = time.perf_counter()
    try:
        model = litert.Interpreter(given["graph"], num_threads=1, **(plain if given["use_xnnpack"] == "false" else {}))
        model.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        fail(f"Failed to load model: {error}")
    init = round(1e6 * (time.perf_counter() - start))
    show_delegates(given, sum(item["op_name"] != "DELEGATE" for item in model._get_ops_details()))
    print(f"INFO: The input model file size (MB): {Path(given['graph']).stat().st_size / 1e6:g}")
    fill(model, given)
    pause = 1 / float(given["run_frequency"]) if float(given["run_frequency"]) > 0 else 0.0
    warm = phase(model, int(given["warmup_runs"]), float(given["warmup_min_secs"]), 0.0)
    steady = phase(model, int(given["num_runs"]), float(given["min_secs"]), pause)
    print(
        f"INFO: Inference timings in us: Init: {init}, First inference: {warm[0]}, Warmup (avg): {np.mean(warm):g}, "
        f"Inference (avg): {np.mean(steady):g}"
    )
    print("INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE …")
    print("INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=4.25")
    if given["output_filepath"]:
        add = 1 if HABIT == "wrong" else 0
        found = [model.get_tensor(item["index"]) + add for item in model.get_output_details()]
        Path(given["output_filepath"]).write_bytes(b"".join(value.tobytes() for value in found))
    if given["enable_op_profiling"] == "true":
        show_profile(model, float(np.mean(steady)))


if __name__ == "__main__":
    main()
