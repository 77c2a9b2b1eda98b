"""What is asked of a program that measures: what it is told, and how its answer is read. Pure: no device is touched."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from edgekit.artifact import Manifest
from edgekit.errors import MeasurementError
from edgekit.model import BATCH, TensorSpec
from edgekit.run import OperatorTime, Schedule

if TYPE_CHECKING:
    from edgekit.protocols import Array, Tensors

US: Final = 1000
"""Nanoseconds."""

NUMBER: Final = r"(-?[0-9.]+(?:e[+-]?[0-9]+)?)"
"""As C++ writes a floating-point number."""

_TOLD: Final = 400


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a program told of one process; see `Repetition` for the fields.

    Attributes:
        delegate: What executed the graph, in the program's words; empty where it does not say.
    """

    load_ns: int
    first_ns: int
    samples_ns: tuple[int, ...]
    warmup_samples: int = 0
    inferences: int = 0
    fastest_ns: int | None = None
    slowest_ns: int | None = None
    memory_bytes: int = 0
    delegate: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a program on a device.

    Attributes:
        program: Its place there.
        model: The model file's place there.
        folder: Where it may write, there.
        manifest: What is measured.
        schedule: How.
        inputs: The places there of the inputs' raw bytes, in the model file's order; empty for inputs of its own.
    """

    program: str
    model: str
    folder: str
    manifest: Manifest
    schedule: Schedule
    inputs: Sequence[str] = ()


class Tool(Protocol):
    """A program of a runtime's makers.

    Attributes:
        name: See `PROGRAMS`.
        method: How a sample is timed, in a sentence.
    """

    name: str
    method: str

    def check_schedule(self, schedule: Schedule) -> None:
        """Refuse what the program cannot do.

        Raises:
            UsageError: With the option.
        """

    def timed(self, job: Job) -> list[str]:
        """The command that measures one process."""

    def read(self, output: str, schedule: Schedule) -> Reading:
        """What it answered.

        Raises:
            MeasurementError: It is no such answer, or a delegate that was asked for took nothing.
        """

    def golden(self, job: Job, output: str) -> list[str] | None:
        """The command that runs once and writes the outputs there; None where the program cannot be given inputs."""

    def raw_inputs(self, model: Path, manifest: Manifest, values: "Tensors") -> list[bytes]:
        """The inputs' bytes as the model file takes them, in its order."""

    def outputs(self, model: Path, manifest: Manifest, data: bytes) -> "dict[str, Array]":
        """Outputs by the source's names, from what the program wrote."""

    def profiled(self, job: Job) -> list[str] | None:
        """The command that tells where the time goes; None where there is no such."""

    def read_profile(self, output: str) -> list[OperatorTime]:
        """What it answered.

        Raises:
            MeasurementError: It is no such answer.
        """


class InputsOfItsOwn:
    """The part of a `Tool` that makes its inputs up, and tells of whole inferences alone."""

    def golden(self, job: Job, output: str) -> list[str] | None:  # noqa: ARG002 - the protocol's
        """None: it cannot be given inputs."""
        return None

    def raw_inputs(self, model: Path, manifest: Manifest, values: "Tensors") -> list[bytes]:  # noqa: ARG002
        """None of them."""
        return []

    def outputs(self, model: Path, manifest: Manifest, data: bytes) -> "dict[str, Array]":  # noqa: ARG002
        """None of them."""
        return {}

    def profiled(self, job: Job) -> list[str] | None:  # noqa: ARG002
        """None: it tells nothing of operators."""
        return None

    def read_profile(self, output: str) -> list[OperatorTime]:  # noqa: ARG002
        """Nothing."""
        return []


def unknown_answer(tool: str, output: str) -> MeasurementError:
    """An answer that is none of those that the program's documentation shows."""
    return MeasurementError(
        f"{tool} answers as no known version does: {complaint(output)}",
        hint="Run it by hand there; if it works, please report what it wrote, with its version.",
    )


def dimensions(spec: TensorSpec) -> str:
    """A shape as these programs take it, free dimensions of one sample: `1,3,224,224`."""
    return ",".join(str(size if isinstance(size, int) else BATCH) for size in spec.shape)


def complaint(output: str) -> str:
    """Why a program failed: what it marks as an error, else the end of what it wrote."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|fail|cannot|not found|abort", line, re.IGNORECASE)]
    words = " | ".join((errors or lines)[-3:]) or "it wrote nothing"
    return "".join(letter if letter.isprintable() else " " for letter in words)[:_TOLD]
