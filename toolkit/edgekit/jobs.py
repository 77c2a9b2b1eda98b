"""What the host asks of a worker process, and what the worker tells while it works: one JSON line an event."""

from typing import TypeAlias

import msgspec

from edgekit.artifact import Parity
from edgekit.images import Images
from edgekit.layers import Blame
from edgekit.model import Signature, SourceModel
from edgekit.placement import Placement
from edgekit.plan import ConversionPlan


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact to make: its plan, its name, and the empty folder of that name it is to be written into."""

    plan: ConversionPlan
    name: str
    folder: str


class ConvertJob(msgspec.Struct, frozen=True, kw_only=True, tag="convert"):
    """Load a source once and make these artifacts of it, in order."""

    source: SourceModel
    source_sha256: str
    reader: str
    builds: tuple[Build, ...]
    calibration: str = ""
    evaluation: str = ""
    images: Images = Images()


class VerifyJob(msgspec.Struct, frozen=True, kw_only=True, tag="verify"):
    """Run an artifact again, against its golden vectors or against its source."""

    artifact: str
    source: SourceModel | None = None
    reader: str = ""
    evaluation: str = ""
    images: Images | None = None


class LayersJob(msgspec.Struct, frozen=True, kw_only=True, tag="layers"):
    """Compare an artifact's inner tensors with those of another, on the golden vectors."""

    artifact: str
    against: str


class PlaceJob(msgspec.Struct, frozen=True, kw_only=True, tag="place"):
    """Load an artifact in its runtime, and see who executes it."""

    artifact: str


class InspectJob(msgspec.Struct, frozen=True, kw_only=True, tag="inspect"):
    """Load a source and say what it is."""

    source: SourceModel
    reader: str


Job: TypeAlias = ConvertJob | VerifyJob | LayersJob | PlaceJob | InspectJob


class StepBegan(msgspec.Struct, frozen=True, tag="step"):
    """A step of the work has begun; the one before has ended."""

    title: str


class Depends(msgspec.Struct, frozen=True, tag="depends"):
    """The user's own Python files that the source was built from."""

    files: tuple[str, ...]


class Built(msgspec.Struct, frozen=True, tag="built"):
    """The artifact at this place of the job stands in its folder, whole."""

    place: int


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """What running the artifact gave."""

    parity: Parity


class Blamed(msgspec.Struct, frozen=True, tag="blamed"):
    """What comparing layers gave."""

    blame: Blame


class Placed(msgspec.Struct, frozen=True, tag="placed"):
    """Who executes an artifact."""

    placement: Placement


class Inspected(msgspec.Struct, frozen=True, kw_only=True, tag="inspected"):
    """What a source model is."""

    framework: str
    signature: Signature
    parameters: int
    operators: dict[str, int]
    notes: tuple[str, ...]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A failure that the user can mend. `place` is the build's place in the job; None when all of it failed."""

    kind: str
    cause: str
    hint: str
    place: int | None = None


Event: TypeAlias = StepBegan | Depends | Built | Verified | Blamed | Placed | Inspected | Failed
