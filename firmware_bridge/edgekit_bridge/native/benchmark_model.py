"""LiteRT's `benchmark_model`: what it is told and what it writes.

Options and formats are those of its sources (github.com/google-ai-edge/LiteRT and github.com/tensorflow/tensorflow,
tools/benchmark: README.md, benchmark_model.cc, benchmark_tflite_model.cc; tsl/util/stats_calculator), and of outputs
that their users published. It has not been tried on hardware.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgekit.artifact import Manifest
from edgekit.errors import MeasurementError, UsageError
from edgekit.protocols import Harness
from edgekit.run import OperatorTime, Schedule
from edgekit_bridge.native.harness import NativeHarness
from edgekit_bridge.native.tflite_file import open_tflite
from edgekit_bridge.native.tool import NUMBER, US, Job, Reading, dimensions, unknown_answer

if TYPE_CHECKING:
    from edgekit.protocols import Array, Tensors

_MOST_S: Final = 150.0
"""Its own limit for a phase (`max_secs`), which a longer measurement must raise."""

_DELEGATES: Final = {
    "default": [],
    "none": ["--use_xnnpack=false"],
    "gpu": ["--use_gpu=true"],
    "nnapi": ["--use_nnapi=true"],
}

_STATISTICS: Final = re.compile(
    rf"count=(?P<count>\d+)(?: first={NUMBER})? curr={NUMBER}(?: min=(?P<min>\S+) max=(?P<max>\S+) avg=(?P<avg>\S+))?"
    r"[^\n]*?(?: median=(?P<median>\S+))?(?: p95=\S+)?\s*$",
    re.MULTILINE,
)
"""`count=50 first=… curr=… min=… max=… avg=… std=…`, in newer versions with ` p5=… median=… p95=…`; microseconds."""

_TIMINGS: Final = re.compile(
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, Warmup \(avg\): \S+, "
    rf"Inference \(avg\): {NUMBER}"
)
_MEMORY: Final = re.compile(rf"\(MB\): init={NUMBER} overall={NUMBER}")
_REPLACED: Final = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\)")
_WHOLLY: Final = re.compile(r"Explicitly applied (.+?) delegate, and the model graph will be completely executed")
_PARTLY: Final = re.compile(r"Explicitly applied (.+?) delegate, and the model graph will be partially executed")
_REFUSED: Final = re.compile(r"(?:Though|Although) (.+?) delegate is explicitly applied, the model graph will not be")
_OPERATOR: Final = re.compile(
    r"^\s*(\S+)\s+[\d.]+\s+[\d.]+\s+([\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+(\d+)\s+\[?(.*?)\]?(?::\d+)?$", re.MULTILINE
)
"""A row of `Run Order`: type, start, first, avg ms, %, cdf%, mem KB, times called, name."""


class _BenchmarkModel:
    name = "benchmark_model"
    method = (
        "the median of a process's inferences as benchmark_model tells it, else their mean, whole microseconds of "
        "Interpreter.Invoke alone; memory is its own figure of the growth since its start"
    )

    def check_schedule(self, schedule: Schedule) -> None:
        """Everything but cold starts and counted instructions."""
        if schedule.mode == "cold":
            raise UsageError("benchmark_model measures no cold starts.", hint="Leave --cold out; it tells the first.")

    def timed(self, job: Job) -> list[str]:
        """Warm up and measure by time and count."""
        schedule = job.schedule
        limit = max(_MOST_S, 2 * schedule.min_time_s)
        pace = [f"--run_frequency={1 / schedule.period_s:g}"] if schedule.period_s else []
        return [
            *self._common(job),
            f"--num_runs={schedule.min_samples}",
            f"--min_secs={schedule.min_time_s:g}",
            f"--max_secs={limit:g}",
            f"--warmup_min_secs={schedule.warmup_s:g}",
            *pace,
        ]

    def golden(self, job: Job, output: str) -> list[str] | None:
        """Run once after one that warms up."""
        return [
            *self._common(job),
            "--num_runs=1",
            "--min_secs=0",
            "--warmup_min_secs=0",
            f"--output_filepath={output}",
        ]

    def profiled(self, job: Job) -> list[str] | None:
        """As `timed`, with its profiler."""
        return [*self.timed(job), "--enable_op_profiling=true"]

    def _common(self, job: Job) -> list[str]:
        options = [f"--graph={job.model}", f"--num_threads={job.schedule.threads}", *_DELEGATES[job.schedule.delegate]]
        return [job.program, *options, *_inputs(job)]

    def read(self, output: str, schedule: Schedule) -> Reading:
        """The figures of its last lines."""
        timings = _TIMINGS.search(output)
        phases = list(_STATISTICS.finditer(output[: timings.start()])) if timings else []
        if timings is None or not phases:
            raise unknown_answer(self.name, output)
        steady, memory = phases[-1], _MEMORY.search(output)
        middle = steady["median"] or steady["avg"] or timings[3]
        return Reading(
            load_ns=_ns(timings[1]),
            first_ns=_ns(timings[2]),
            samples_ns=(_ns(middle),),
            warmup_samples=int(phases[0]["count"]) if len(phases) > 1 else 0,
            inferences=int(steady["count"]),
            fastest_ns=_ns(steady["min"] or middle),
            slowest_ns=_ns(steady["max"] or middle),
            memory_bytes=round(float(memory[2]) * 2**20) if memory else 0,
            delegate=_delegate(output, schedule),
        )

    def read_profile(self, output: str) -> list[OperatorTime]:
        """The rows of the last `Run Order`: that of the measured inferences."""
        told = output.rpartition("Operator-wise Profiling Info")[2].partition("Top by Computation Time")[0]
        found = [
            OperatorTime(name=f"{row[1]} {row[4]}".strip(), calls=1.0, self_ns=round(1e6 * float(row[2])))
            for row in _OPERATOR.finditer(told)
        ]
        if not found:
            raise unknown_answer(self.name, output)
        return found

    def raw_inputs(self, model: Path, manifest: Manifest, values: "Tensors") -> list[bytes]:
        """By LiteRT on this host, which knows the file's order and element types."""
        return open_tflite(model, manifest.signature).raw_inputs(values)

    def outputs(self, model: Path, manifest: Manifest, data: bytes) -> "dict[str, Array]":
        """By LiteRT on this host."""
        return open_tflite(model, manifest.signature).real_outputs(data)


def _inputs(job: Job) -> list[str]:
    """Values from files. The names are of no matter to it, only their order; every shape must be given with them."""
    if not job.inputs:
        return []
    names = [f"input{place}" for place in range(len(job.inputs))]
    shapes = job.manifest.signature.inputs
    return [
        f"--input_layer={','.join(names)}",
        f"--input_layer_shape={':'.join(map(dimensions, shapes))}",
        f"--input_layer_value_files={','.join(f'{name}:{file}' for name, file in zip(names, job.inputs, strict=True))}",
    ]


def _delegate(output: str, schedule: Schedule) -> str:
    """What executes the graph, and how much of it.

    Raises:
        MeasurementError: The delegate that was asked for took none of it.
    """
    asked = schedule.delegate in {"gpu", "nnapi"}
    refused, replaced = _REFUSED.search(output), _REPLACED.search(output)
    if asked and (refused or not (replaced or _WHOLLY.search(output))):
        raise MeasurementError(
            f"The delegate {schedule.delegate} took none of the model: the CPU would have been measured.",
            hint="Look at the device's support for it, or measure the CPU: leave --delegate out.",
        )
    if replaced:
        name = replaced[3].removeprefix("TfLite").removesuffix("Delegate").replace("XNNPack", "XNNPACK")
        return f"{name}, {replaced[1]} of {replaced[2]} operators"
    for words, share in ((_WHOLLY, "the whole model"), (_PARTLY, "a part of the model")):
        if told := words.search(output):
            return f"{told[1]}, {share}"
    return "none: built-in kernels" if schedule.delegate == "none" else "it does not say"


def _ns(microseconds: str) -> int:
    return round(US * float(microseconds))


HARNESS: Harness = NativeHarness(_BenchmarkModel())
"""For `--runtime benchmark_model`, and for TFLite where there is no Python."""
