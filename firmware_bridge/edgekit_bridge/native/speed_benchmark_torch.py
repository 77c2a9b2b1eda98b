"""PyTorch's `speed_benchmark_torch`: what it is told and what it writes.

Options and formats are those of its source (github.com/pytorch/pytorch, binaries/speed_benchmark_torch.cc, to 2.2), and
of PyTorch's "Mobile Performance Recipes". It has not been tried on hardware.
"""

import re
from typing import Final

from edgekit.errors import UsageError
from edgekit.protocols import Harness
from edgekit.run import Schedule
from edgekit_bridge.native.harness import NativeHarness
from edgekit_bridge.native.tool import US, InputsOfItsOwn, Job, Reading, dimensions, unknown_answer

_WARMUP_RUNS: Final = 10

_SAMPLE: Final = re.compile(
    r'PyTorchObserver \{"type": "NET", "unit": "us", "metric": "latency", "value": "([\d.e+]+)"\}'
)
"""Each inference, in the order in which they were; microseconds."""

_TYPES: Final = {"float32": "float", "uint8": "uint8_t", "int64": "int64"}


class _SpeedBenchmarkTorch(InputsOfItsOwn):
    name = "speed_benchmark_torch"
    method = (
        "whole microseconds of one call of the lite-interpreter module as speed_benchmark_torch tells it, inputs all "
        "ones, a fixed number of inferences on threads of its own choice"
    )

    def check_schedule(self, schedule: Schedule) -> None:
        """It counts inferences, and knows neither threads, delegates nor paces."""
        for wrong, what in (
            (schedule.mode != "single-stream", f"{schedule.mode} mode"),
            (schedule.threads != 1, f"{schedule.threads} threads"),
            (schedule.delegate != "default", f"the delegate {schedule.delegate}"),
        ):
            if wrong:
                raise UsageError(f"speed_benchmark_torch has no option for {what}.", hint="Leave it out.")

    def timed(self, job: Job) -> list[str]:
        """Warm up, then measure `min_samples` inferences."""
        inputs = job.manifest.signature.inputs
        unknown = [spec for spec in inputs if spec.dtype not in _TYPES]
        if unknown:
            raise UsageError(
                f"speed_benchmark_torch makes no inputs of {unknown[0].dtype}, which {unknown[0].name} is.",
                hint="Measure it where there is Python.",
            )
        return [
            job.program,
            f"--model={job.model}",
            f"--input_dims={';'.join(map(dimensions, inputs))}",
            f"--input_type={';'.join(_TYPES[spec.dtype] for spec in inputs)}",
            f"--input_memory_format={';'.join('contiguous_format' for _ in inputs)}",
            f"--warmup={_WARMUP_RUNS}",
            f"--iter={job.schedule.min_samples}",
            "--report_pep=true",
        ]

    def read(self, output: str, schedule: Schedule) -> Reading:  # noqa: ARG002 - the protocol's
        """Its samples; it tells nothing of loading, and its first inference is within warm-up."""
        samples = tuple(max(1, round(US * float(value))) for value in _SAMPLE.findall(output))
        if not samples or "Main run finished" not in output:
            raise unknown_answer(self.name, output)
        return Reading(load_ns=0, first_ns=0, samples_ns=samples, warmup_samples=_WARMUP_RUNS)


HARNESS: Harness = NativeHarness(_SpeedBenchmarkTorch())
"""For `--runtime speed_benchmark_torch`, and for TorchScript where there is no Python."""
