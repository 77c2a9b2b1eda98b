"""Golden vectors and labelled sets, computed on a board and compared here as everywhere else."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edgekit.artifact import Artifact
from edgekit.fingerprint import hash_path
from edgekit.parity import top1_accuracy
from edgekit.protocols import Progress, Step, Tensors
from edgekit.run import Evaluation, GoldenCheck
from edgekit_bridge.harness.record import golden_check

if TYPE_CHECKING:
    from edgekit.dataset import DataSet
    from edgekit.protocols import Array

Runner = Callable[[Tensors], "dict[str, Array]"]
"""Runs one sample on the board: inputs by name, outputs by name."""


def golden_on(run: Runner, artifact: Artifact, progress: Progress) -> GoldenCheck:
    """Run the golden vectors there."""
    from edgekit.golden import load_golden

    vectors, expected = load_golden(artifact.golden)
    got = []
    with progress.step(f"check {artifact.manifest.name} on the board", total=float(len(expected))) as step:
        for vector in vectors:
            got.append(run(vector))
            step.advance(1)
    return golden_check(artifact, expected, got)


def evaluate(run: Runner, artifact: Artifact, data: "DataSet", progress: Progress) -> Evaluation:
    """Top-1 accuracy over a set, every sample computed there.

    Raises:
        UsageError: The output has not one score a class, or a label is no class.
    """
    signature = artifact.manifest.signature
    labels = data.labels
    assert labels is not None  # noqa: S101 - `edgekit.measure` refuses a set without
    with progress.step(f"compute {data.path.name} on the board", total=float(len(data))) as step:
        accuracy = top1_accuracy(run, _counted(data.samples(signature), step), labels, signature.outputs[0].name)
    return Evaluation(data=data.path.name, sha256=hash_path(data.path), samples=len(data), accuracy=accuracy)


def _counted(samples: "Iterator[dict[str, Array]]", step: Step) -> "Iterator[dict[str, Array]]":
    for sample in samples:
        yield sample
        step.advance(1)
