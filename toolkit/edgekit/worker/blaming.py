"""Compare an artifact's inner tensors with those of the same model in float."""

from edgekit import catalog
from edgekit.artifact import load_artifact
from edgekit.errors import UsageError
from edgekit.golden import load_golden
from edgekit.jobs import LayersJob, StepBegan
from edgekit.layers import Blame, compare_layers
from edgekit.routes import install_command
from edgekit.worker.loading import Tell


def blame(job: LayersJob, tell: Tell) -> Blame:
    """Run both on the artifact's golden inputs.

    Raises:
        UsageError: They have no tensor in common, or the runtime is not installed.
    """
    artifact, reference = load_artifact(job.artifact), load_artifact(job.against)
    tracer = catalog.tracer(artifact.manifest.format)
    missing = catalog.missing(tracer.requires)
    if missing:
        raise UsageError("The layers cannot be looked at here.", hint=install_command(missing))
    tell(StepBegan("look into every layer"))
    inputs, _ = load_golden(artifact.golden)
    traces = [tracer.open(item.model, item.manifest.signature) for item in (reference, artifact)]
    layers, unmatched = compare_layers(traces[0], traces[1], inputs)
    if not layers:
        raise UsageError(
            f"{artifact.path} and {reference.path} have no inner tensor in common.",
            hint="Give an fp32 artifact of the same source, made by the same route.",
        )
    return Blame(
        against=str(reference.path),
        vectors=len(inputs),
        kernels=traces[1].kernels,
        layers=layers,
        unmatched=unmatched,
    )
