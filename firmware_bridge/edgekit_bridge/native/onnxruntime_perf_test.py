"""ONNX Runtime's `onnxruntime_perf_test`: what it is told and what it writes.

Options and formats are those of its sources (github.com/microsoft/onnxruntime, onnxruntime/test/perftest: README.md,
command_args_parser.cc, performance_runner.cc, performance_result.h), and of outputs that its users published. It has
not been tried on hardware.
"""

import re
from typing import Final

from edgekit.errors import UsageError
from edgekit.protocols import Harness
from edgekit.run import Schedule
from edgekit_bridge.native.harness import NativeHarness
from edgekit_bridge.native.tool import NUMBER, InputsOfItsOwn, Job, Reading, unknown_answer

_PROVIDERS: Final = {"default": "cpu", "nnapi": "nnapi"}

_FIGURES: Final = {
    "load": rf"Session creation time cost: {NUMBER} s",
    "first": rf"First inference time cost: {NUMBER} ms",
    "count": r"Total inference requests: (\d+)",
    "mean": rf"Average inference time cost(?: total)?: {NUMBER} ms",
    "least": rf"Min Latency: {NUMBER} s",
    "most": rf"Max Latency: {NUMBER} s",
    "middle": rf"P50 Latency: {NUMBER} s",
    "memory": r"Peak working set size: (\d+) bytes",
}
"""Each on a line of its own; the percentiles since 1.8."""


class _OnnxruntimePerfTest(InputsOfItsOwn):
    name = "onnxruntime_perf_test"
    method = (
        "the median of a process's inferences as onnxruntime_perf_test tells it, else their mean, of Session::Run on "
        "inputs of its own; memory is its peak working set, the program included"
    )

    def check_schedule(self, schedule: Schedule) -> None:
        """It runs on end, on the CPU or by NNAPI."""
        if schedule.mode in {"burst", "cold"}:
            raise UsageError(f"onnxruntime_perf_test has no option for {schedule.mode} mode.", hint="Leave it out.")
        if schedule.delegate not in _PROVIDERS:
            raise UsageError(
                f"onnxruntime_perf_test has no provider for --delegate {schedule.delegate}.", hint="Use nnapi, or none."
            )

    def timed(self, job: Job) -> list[str]:
        """For whole seconds, one at least."""
        schedule = job.schedule
        seconds = max(1, round(schedule.min_time_s + schedule.warmup_s))
        options = ["-I", "-s", "-e", _PROVIDERS[schedule.delegate], "-x", str(schedule.threads)]
        return [job.program, *options, "-m", "duration", "-t", str(seconds), job.model]

    def read(self, output: str, schedule: Schedule) -> Reading:
        """The figures of its lines."""
        told = {name: found[1] for name, line in _FIGURES.items() if (found := re.search(line, output))}
        if not {"load", "count", "mean"} <= told.keys() or int(told["count"]) < 1:
            raise unknown_answer(self.name, output)
        mean = round(1e6 * float(told["mean"]))

        def seconds(name: str) -> int:
            return round(1e9 * float(told[name])) if name in told else mean

        return Reading(
            load_ns=seconds("load"),
            first_ns=round(1e6 * float(told.get("first", told["mean"]))),
            samples_ns=(seconds("middle"),),
            warmup_samples=1,
            inferences=int(told["count"]),
            fastest_ns=seconds("least"),
            slowest_ns=seconds("most"),
            memory_bytes=int(told.get("memory", 0)),
            delegate="NNAPI, as far as it takes the model" if schedule.delegate == "nnapi" else "CPU provider",
        )


HARNESS: Harness = NativeHarness(_OnnxruntimePerfTest())
"""For `--runtime onnxruntime_perf_test`, and for ONNX where there is no Python."""
