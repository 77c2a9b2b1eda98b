"""The data sets of a job, in the worker: opened, checked sample by sample, counted."""

from collections.abc import Iterator

import msgspec

from edgekit.dataset import DataSet
from edgekit.jobs import ConvertJob, Depends
from edgekit.model import Signature, SourceModel
from edgekit.plan import ConversionPlan
from edgekit.worker.loading import Tell, files_used

_SHAPELESS = {"pytorch", "torchscript"}
"""Kinds of source that do not say what shapes their inputs have."""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The sets of a job; None where it has none."""

    calibration: DataSet | None
    evaluation: DataSet | None

    @property
    def _given(self) -> Iterator[DataSet]:
        return (data for data in (self.calibration, self.evaluation) if data is not None)

    def shaped(self, source: SourceModel) -> SourceModel:
        """The source with the shapes of the first sample, where it has none and the user gave none."""
        first = next(self._given, None)
        if first is None or source.inputs or source.kind not in _SHAPELESS:
            return source
        return msgspec.structs.replace(source, inputs=first.specs())

    def check(self, signature: Signature, tell: Tell) -> None:
        """Go through all samples once, and tell which files a function took them from.

        Raises:
            UsageError: One does not fit.
        """
        for data in self._given:
            with files_used() as used:
                data.check(signature)
            if data.generated:
                tell(Depends(tuple(used)))

    def counted(self, plan: ConversionPlan) -> ConversionPlan:
        """The plan with the number of samples of its sets."""
        changes = {
            what: data.counted(ref)
            for what, data, ref in (
                ("calibration", self.calibration, plan.calibration),
                ("evaluation", self.evaluation, plan.evaluation),
            )
            if data is not None and ref is not None
        }
        return msgspec.structs.replace(plan, **changes)


def open_data(job: ConvertJob) -> Data:
    """Open them.

    Raises:
        UsageError: One is missing or damaged.
    """
    return Data(
        calibration=_open(job, job.calibration, "calibration"),
        evaluation=_open(job, job.evaluation, "evaluation"),
    )


def _open(job: ConvertJob, text: str, what: str) -> DataSet | None:
    layout = job.builds[0].plan.layout
    return DataSet(text, what=what, images=job.images, layout=layout) if text else None
