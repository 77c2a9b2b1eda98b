"""Make the artifacts of a job: load the source once, then convert, check and describe each."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from edgekit import __version__, catalog
from edgekit.artifact import (
    GOLDEN,
    MANIFEST_VERSION,
    Manifest,
    Parity,
    SourceFacts,
    folder_entries,
    write_manifest,
)
from edgekit.fingerprint import package_versions
from edgekit.golden import golden_inputs, save_golden
from edgekit.jobs import Build, Built, ConvertJob, StepBegan
from edgekit.model import Signature
from edgekit.plan import ConversionPlan
from edgekit.protocols import Converted, LoadedSource, Tensors
from edgekit.worker.budgeting import keep_within
from edgekit.worker.checking import Reference, accuracy, check
from edgekit.worker.data import Data, open_data
from edgekit.worker.explaining import with_layer
from edgekit.worker.loading import Tell, laid_out, load
from edgekit.worker.steps import Steps


class _Bench(msgspec.Struct, frozen=True):
    """What all artifacts of a job share."""

    job: ConvertJob
    source: LoadedSource
    data: Data
    reference: Reference


def convert(job: ConvertJob, tell: Tell) -> Iterator[Built | Exception]:
    """Make every artifact; gives its event, or the error that kept it from being made."""
    bench = _prepare(job, tell)
    for place, build in enumerate(job.builds):
        try:
            _build(bench, build, tell)
        except Exception as error:  # noqa: BLE001 - one artifact's failure must not take the others along
            yield with_layer(error, bench.source, Path(build.folder))
        else:
            yield Built(place)


def _prepare(job: ConvertJob, tell: Tell) -> _Bench:
    data = open_data(job)
    source = laid_out(load(data.shaped(job.source), job.reader, tell), _layout(job))
    data.check(source.signature, tell)
    tell(StepBegan(f"run the source in {source.framework}"))
    inputs, origin = golden_inputs(source.signature, data.calibration, data.evaluation)
    reference = Reference(
        inputs=inputs,
        outputs=[source.run(vector) for vector in inputs],
        origin=origin,
        evaluation=data.evaluation,
        accuracy=accuracy(source.run, source.signature, data.evaluation),
    )
    return _Bench(job, source, data, reference)


def _layout(job: ConvertJob) -> str:
    """What every artifact of the job is turned into."""
    return job.builds[0].plan.layout


def _build(bench: _Bench, build: Build, tell: Tell) -> None:
    converter = next(item for item in catalog.converters() if item.name == build.plan.route.converter)
    folder = Path(build.folder)
    folder.mkdir(parents=True)

    def samples() -> Iterator[Tensors]:
        if bench.data.calibration is not None:
            yield from bench.data.calibration.samples(bench.source.signature)

    def make(plan: ConversionPlan, out: Path) -> Converted:
        return converter.convert(bench.source, plan, samples, out, Steps(tell))

    plan, budget = bench.data.counted(build.plan), None
    if plan.max_drop is not None:
        plan, budget = keep_within(plan, make, bench.reference, tell)
    build = msgspec.structs.replace(build, plan=plan)
    made = make(plan, folder)
    save_golden(folder / GOLDEN, bench.reference.inputs, bench.reference.outputs)
    tell(StepBegan(f"{build.plan.label}: compare with the source"))
    signature = Signature(inputs=made.inputs, outputs=made.outputs)
    parity = check(made.model, signature, build.plan, bench.reference)
    manifest = _manifest(bench, build, made, parity)
    write_manifest(folder, msgspec.structs.replace(manifest, budget=budget))


def _manifest(bench: _Bench, build: Build, made: Converted, parity: Parity) -> Manifest:
    job, source, plan = bench.job, bench.source, build.plan
    return Manifest(
        manifest_version=MANIFEST_VERSION,
        edgekit=__version__,
        name=build.name,
        format=plan.format,
        precision=plan.precision,
        model=made.model.name,
        signature=Signature(inputs=made.inputs, outputs=made.outputs),
        files=folder_entries(Path(build.folder)),
        source=SourceFacts(
            kind=job.source.kind,
            name=":".join(filter(None, (Path(job.source.path).name, job.source.factory))),
            sha256=job.source_sha256,
            framework=source.framework,
            parameters=source.parameters,
            operators=dict(source.operators),
        ),
        plan=plan,
        packages=package_versions((*made.packages, *_data_packages(plan))),
        parity=parity,
        quantized=made.quantized,
        operators=made.operators,
        reproducible=made.reproducible,
        notes=(*source.notes, *made.notes),
        footprint=made.footprint,
    )


def _data_packages(plan: ConversionPlan) -> tuple[str, ...]:
    """What read the samples."""
    images = any(ref is not None and ref.images is not None for ref in (plan.calibration, plan.evaluation))
    return ("numpy", "pillow") if images else ("numpy",)
