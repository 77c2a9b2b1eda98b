"""Who executes an artifact's operators in its runtime, which of them fall back, and what memory that takes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from edgekit.artifact import Artifact


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """An operator that is not executed as it should be.

    Attributes:
        operator: Its name in the model file.
        layers: The layers that use it.
        why: What happens to it: `built-in kernel, not XNNPACK`, `in float`.
    """

    operator: str
    layers: tuple[str, ...]
    why: str


class Microcontroller(msgspec.Struct, frozen=True, kw_only=True):
    """What TensorFlow Lite Micro says of a model.

    Attributes:
        version: The version of tflite-micro.
        arena_bytes: The memory that all its tensors need, with the pointers of a 64-bit machine.
        refused: Why it does not run there; empty where it does.
    """

    version: str
    arena_bytes: int = 0
    refused: str = ""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """How a runtime executes an artifact.

    Attributes:
        engine: Who takes what can be taken: `XNNPACK`, `CPUExecutionProvider`; empty where nobody does.
        operators: How many operators the model file has; 0 where it does not say.
        taken: How many of them the engine executes.
        unit: What is counted: `operators`, or `calls`, of which one may be many operators.
        fallbacks: Those that it does not, and those of an int8 model that compute in float.
        activation_bytes: The most that its inner tensors take at once, as far as their shapes are known.
        held_bytes: What the process grew by when the model was loaded and run, on this machine.
        microcontroller: What TensorFlow Lite Micro says; None where it was not asked.
    """

    engine: str = ""
    operators: int = 0
    taken: int = 0
    unit: str = "operators"
    fallbacks: tuple[Fallback, ...] = ()
    activation_bytes: int | None = None
    held_bytes: int = 0
    microcontroller: Microcontroller | None = None


class Placer(Protocol):
    """Looks at how runtimes execute artifacts."""

    def place(self, artifact: Artifact) -> Placement:
        """Load it, run it once, and see.

        Raises:
            MeasurementError: The runtime is missing or cannot load it.
        """

    def users(self, model: Path, operator: str) -> tuple[str, ...]:
        """The layers of a model file that use an operator; empty where nobody can tell."""


class Step(msgspec.Struct, frozen=True):
    """An operator with the tensors it takes and gives, in the order of execution."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def peak_bytes(steps: Sequence[Step], sizes: Mapping[str, int], kept: Iterable[str]) -> int:
    """The most that tensors take at once, each from the step that makes it to the last one that takes it.

    Args:
        steps: The operators in order.
        sizes: Bytes by tensor; those that are missing (constants) take none.
        kept: Tensors that stay until the end: the outputs.
    """
    made = {name: place for place, step in enumerate(steps) for name in step.outputs}
    last = {name: place for place, step in enumerate(steps) for name in step.inputs}
    last |= dict.fromkeys(kept, len(steps))
    change = [0] * (len(steps) + 2)
    for name in {*made, *last} & set(sizes):
        change[made.get(name, 0)] += sizes[name]
        change[max(last.get(name, 0), made.get(name, 0)) + 1] -= sizes[name]
    total = peak = 0
    for step in change:
        total += step
        peak = max(peak, total)
    return peak


def grouped(found: Iterable[tuple[str, str, str]]) -> tuple[Fallback, ...]:
    """Operators, their layers and what happens to them, by operator."""
    layers: dict[tuple[str, str], list[str]] = {}
    for operator, layer, why in found:
        layers.setdefault((operator, why), []).append(layer)
    return tuple(
        Fallback(operator=operator, layers=tuple(dict.fromkeys(names)), why=why)
        for (operator, why), names in layers.items()
    )
