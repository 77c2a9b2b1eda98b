"""Run an artifact again: against its golden vectors, or against its source, loaded anew."""

import msgspec

from edgekit.artifact import Artifact, Parity, load_artifact
from edgekit.dataset import DataSet
from edgekit.errors import UsageError
from edgekit.golden import load_golden
from edgekit.jobs import StepBegan, VerifyJob
from edgekit.plan import ConversionPlan
from edgekit.protocols import LoadedSource
from edgekit.worker.checking import Reference, accuracy, check
from edgekit.worker.loading import Tell, laid_out, load


def verify(job: VerifyJob, tell: Tell) -> Parity:
    """Measure parity, and accuracy where there are labels, now."""
    artifact = load_artifact(job.artifact)
    manifest = artifact.manifest
    evaluation = _open(job, manifest.plan) if job.evaluation else None
    if evaluation is not None:
        evaluation.check(manifest.signature)
    reference = _recorded(artifact, evaluation)
    if job.source is not None:
        source = laid_out(load(job.source, job.reader, tell), manifest.plan.layout)
        _check_same_interface(artifact, source)
        reference = msgspec.structs.replace(
            reference,
            outputs=[source.run(vector) for vector in reference.inputs],
            accuracy=accuracy(source.run, source.signature, evaluation),
        )
    tell(StepBegan(f"run {manifest.name}"))
    return check(artifact.model, manifest.signature, manifest.plan, reference)


def _open(job: VerifyJob, plan: ConversionPlan) -> DataSet:
    """The evaluation set; its images are preprocessed as those were that the artifact was made with."""
    recorded = next((ref.images for ref in (plan.evaluation, plan.calibration) if ref and ref.images), None)
    return DataSet(job.evaluation, what="evaluation", images=job.images or recorded, layout=plan.layout)


def _recorded(artifact: Artifact, evaluation: DataSet | None) -> Reference:
    """What the artifact itself knows of its source."""
    inputs, outputs = load_golden(artifact.golden)
    parity = artifact.manifest.parity
    return Reference(
        inputs=inputs,
        outputs=outputs,
        origin=parity.golden_inputs,
        evaluation=evaluation,
        accuracy=parity.accuracy.source if parity.accuracy else None,
    )


def _check_same_interface(artifact: Artifact, source: LoadedSource) -> None:
    ours, theirs = artifact.manifest.signature, source.signature
    for what, a, b in (("inputs", ours.inputs, theirs.inputs), ("outputs", ours.outputs, theirs.outputs)):
        if [(item.name, item.shape) for item in a] != [(item.name, item.shape) for item in b]:
            raise UsageError(
                f"The {what} of {artifact.path} and of the source differ.",
                hint="Give the source that the artifact was made of.",
            )
