"""Look again: run an artifact beside its source now, or see what a source model is. Both in a worker process."""

from edgekit import catalog
from edgekit.artifact import Artifact, Parity
from edgekit.errors import UsageError
from edgekit.images import Images
from edgekit.isolation import worker
from edgekit.jobs import Blamed, Inspected, InspectJob, LayersJob, Verified, VerifyJob
from edgekit.layers import Blame, find_reference
from edgekit.model import SourceModel
from edgekit.plan import FORMATS, PRECISIONS
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress, SourceReader
from edgekit.routes import Way, install_command, ways


def verify(
    artifact: Artifact,
    *,
    against: SourceModel | None = None,
    evaluation: str = "",
    images: Images | None = None,
    progress: Progress | None = None,
) -> Parity:
    """Measure an artifact's parity, and its accuracy where there are labels, on this host.

    Args:
        artifact: The artifact.
        against: Its source, loaded and run anew; without one, the golden vectors' recorded outputs are compared.
        evaluation: An evaluation set: a path, or `file.py:function`.
        images: How its image files become inputs; as when the artifact was made when None.
        progress: Told of each step.

    Raises:
        UsageError: The source is another model's, or data does not fit.
        ConversionError: The source cannot be loaded, or the runtime crashed.
    """
    reader = _reader(against, artifact.manifest.plan.route.reader) if against is not None else None
    job = VerifyJob(
        artifact=str(artifact.path),
        source=against,
        reader=reader.name if reader else "",
        evaluation=evaluation,
        images=images,
    )
    with worker(job, reader.environment if reader else {}) as running:
        for event in running.events(progress or SilentProgress()):
            if isinstance(event, Verified):
                return event.parity
    raise AssertionError("a verify job ends with its result or an error")


def blame_layers(artifact: Artifact, *, against: Artifact | None = None, progress: Progress | None = None) -> Blame:
    """Find the layers that an artifact's error comes from, on this host.

    Args:
        artifact: The artifact, quantized.
        against: The same model in float; the fp32 artifact of the same source that lies beside it when None.
        progress: Told of each step.

    Raises:
        UsageError: There is no such artifact, it is of another format, or both have no inner tensor in common.
        ConversionError: The runtime crashed.
    """
    reference = against or find_reference(artifact)
    if reference.manifest.format != artifact.manifest.format:
        raise UsageError(
            f"{reference.path} is {reference.manifest.format}, and {artifact.path} is {artifact.manifest.format}.",
            hint="Layers are compared within one format.",
        )
    catalog.tracer(artifact.manifest.format)
    job = LayersJob(artifact=str(artifact.path), against=str(reference.path))
    with worker(job, {}) as running:
        for event in running.events(progress or SilentProgress()):
            if isinstance(event, Blamed):
                return event.blame
    raise AssertionError("a layers job ends with its result or an error")


def inspect_source(source: SourceModel, progress: Progress | None = None) -> Inspected:
    """Load a source model and say what it is.

    Raises:
        UsageError: It is damaged, would run code, or its framework is not installed.
        ConversionError: The framework cannot load it.
    """
    reader = _reader(source, "")
    with worker(InspectJob(source=source, reader=reader.name), reader.environment) as running:
        for event in running.events(progress or SilentProgress()):
            if isinstance(event, Inspected):
                return event
    raise AssertionError("an inspect job ends with its result or an error")


def _reader(source: SourceModel, preferred: str) -> SourceReader:
    """An installed reader of this kind, the preferred one first; its objections are raised."""
    found: list[Way] = [way for f in FORMATS for p in PRECISIONS for way in ways(source.kind, f, p)]
    readers = {way.reader.name: way.reader for way in found if not _missing(way)}
    if not readers:
        raise UsageError(f"Nothing here can read {source.path}.", hint=install_command(found[0].reader.requires))
    reader = readers.get(preferred) or next(iter(readers.values()))
    for objection in reader.objections(source):
        raise UsageError(objection.cause, hint=objection.hint)
    return reader


def _missing(way: Way) -> bool:
    return any(need in way.missing for need in way.reader.requires)
