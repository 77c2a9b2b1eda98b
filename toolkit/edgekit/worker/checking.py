"""Run an artifact in its runtime beside what its source gave: the one place where parity is measured on this host."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from edgekit import catalog
from edgekit.artifact import Accuracy, Parity
from edgekit.dataset import DataSet
from edgekit.errors import UsageError
from edgekit.golden import Origin
from edgekit.model import Signature
from edgekit.parity import Runner, compare_outputs, top1_accuracy
from edgekit.plan import ConversionPlan
from edgekit.protocols import Array, Runtime, Tensors
from edgekit.routes import install_command


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact is compared with.

    Attributes:
        inputs: Golden inputs, one mapping a vector.
        outputs: What the source gave for them.
        origin: Where the inputs come from.
        evaluation: Inputs with labels, or None.
        accuracy: The source's accuracy on them, or None without labels.
    """

    inputs: Sequence[Tensors]
    outputs: Sequence[Mapping[str, Array]]
    origin: Origin
    evaluation: DataSet | None = None
    accuracy: float | None = None


def accuracy(run: Runner, signature: Signature, evaluation: DataSet | None) -> float | None:
    """Top-1 accuracy of the first output, 0 to 1; None without labels."""
    if evaluation is None or evaluation.labels is None:
        return None
    samples = evaluation.samples(signature)
    return top1_accuracy(run, samples, evaluation.labels, signature.outputs[0].name)


def check(model: Path, signature: Signature, plan: ConversionPlan, reference: Reference) -> Parity:
    """Run a model file on the reference's inputs and compare.

    Raises:
        UsageError: The runtime is not installed.
    """
    runtime = _runtime(plan.format)
    session = runtime.open(model, signature, threads=1, engine=plan.engine)
    figures = compare_outputs(reference.outputs, [session.run(vector) for vector in reference.inputs])
    after = accuracy(session.run, signature, reference.evaluation)
    return Parity(
        passed=all(figure.relative_rms <= plan.max_error for figure in figures),
        max_error=plan.max_error,
        vectors=len(reference.inputs),
        golden_inputs=reference.origin,
        runtime=runtime.describe(),
        outputs=figures,
        accuracy=_both(after, reference),
    )


def _runtime(format_: str) -> Runtime:
    runtime = next(item for item in catalog.runtimes() if item.format == format_)
    missing = catalog.missing(runtime.requires)
    if missing:
        raise UsageError(f"{runtime.name} is not installed, so nothing can be compared.", hint=install_command(missing))
    return runtime


def _both(after: float | None, reference: Reference) -> Accuracy | None:
    if after is None or reference.evaluation is None:
        return None
    return Accuracy(artifact=after, source=reference.accuracy, samples=len(reference.evaluation))
