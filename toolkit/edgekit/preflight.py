"""Will it work there? `edgekit check`: what speaks against an artifact before work, then what making it shows.

What can be known without a framework comes first (`plan_conversion`); the rest by doing it: the artifact is made in a
folder that goes again (and in the cache, where `edgekit convert` finds it), loaded in its runtime and run.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from edgekit import catalog
from edgekit.artifact import Artifact, Footprint, Parity
from edgekit.conversion import convert_all
from edgekit.errors import EdgekitError, UsageError
from edgekit.isolation import worker
from edgekit.jobs import Placed, PlaceJob
from edgekit.limits import Limits
from edgekit.placement import Placement
from edgekit.plan import Objection
from edgekit.planning import Planned, Request, plan_conversion
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress
from edgekit.routes import check_names
from edgekit.target import BoardMemory, TargetProfile


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What running an artifact takes, in bytes.

    Attributes:
        model: The model file.
        activations: The most that its inner tensors take at once; None where their shapes are not known.
        held: What a process grew by when it loaded and ran the model, on this machine.
        runtime: The runtime and its interpreter, before a model.
        available: What the device has beside its own system; 0 where that differs by machine.
    """

    model: int
    activations: int | None
    held: int
    runtime: int
    available: int

    @property
    def needed(self) -> int:
        """Model and runtime together."""
        return self.held + self.runtime


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one artifact.

    Attributes:
        label: `tflite int8`.
        made: Whether it could be made.
        problems: What will not work, with the next step; empty where all is well.
        parity: How close it is to its source.
        operators: The model file's operators with how often each occurs.
        placement: Who executes it.
        memory: What it takes.
        footprint: What it takes on a microcontroller; formats for those.
        board: Flash and RAM of a target that is one; None for others.
        notes: What a careful reader should know.
    """

    label: str
    made: bool
    problems: tuple[Objection, ...]
    parity: Parity | None = None
    operators: dict[str, int] = {}
    placement: Placement | None = None
    memory: Memory | None = None
    footprint: Footprint | None = None
    board: BoardMemory | None = None
    notes: tuple[str, ...] = ()


def preflight(request: Request, progress: Progress | None = None) -> Iterator[Checked]:
    """Check each artifact that the request asks for; its `out` is not used.

    Raises:
        UsageError: A name does not exist.
    """
    check_names(request.formats, request.precisions)
    profile, telling = catalog.targets().load(request.target), progress or SilentProgress()
    tried = {f"{one.formats[0]} {one.precisions[0]}": _planned(one) for one in _each(request)}
    planned = [item for item in tried.values() if not isinstance(item, UsageError)]
    with tempfile.TemporaryDirectory(prefix="edgekit-check-") as folder:
        outcomes = _outcomes(msgspec.structs.replace(request, out=Path(folder)), planned, telling)
        for label, item in tried.items():
            outcome = item if isinstance(item, UsageError) else outcomes[item.plan.label]
            if isinstance(outcome, EdgekitError):
                yield _refused(label, outcome)
            else:
                yield _look(outcome, profile, _placed(outcome, request.limits, telling))


def _each(request: Request) -> Iterator[Request]:
    for format_ in request.formats:
        for precision in request.precisions:
            yield msgspec.structs.replace(request, formats=(format_,), precisions=(precision,))


def _planned(request: Request) -> Planned | UsageError:
    try:
        return plan_conversion(request)[0]
    except UsageError as error:
        return error


def _outcomes(request: Request, planned: Sequence[Planned], progress: Progress) -> dict[str, Artifact | EdgekitError]:
    """What came of making each, by label."""
    try:
        outcome = convert_all(request, progress, planned=planned)
    except EdgekitError as error:  # the source cannot be loaded
        return {item.plan.label: error for item in planned}
    made = {item.artifact.manifest.plan.label: item.artifact for item in outcome.made}
    return made | {item.label: item.error for item in outcome.not_made}


def _refused(label: str, error: EdgekitError) -> Checked:
    return Checked(label=label, made=False, problems=(Objection(cause=error.cause, hint=error.hint),))


def _look(artifact: Artifact, profile: TargetProfile, placement: Placement) -> Checked:
    manifest = artifact.manifest
    memory = Memory(
        model=manifest.model_bytes,
        activations=placement.activation_bytes,
        held=placement.held_bytes,
        runtime=catalog.targets().runtime_bytes(manifest.format),
        available=catalog.targets().available_bytes(profile),
    )
    footprint, bare = manifest.footprint, profile.system == "bare-metal"
    misfits = catalog.targets().misfits(
        profile,
        format_=manifest.format,
        model_bytes=manifest.model_bytes,
        held_bytes=placement.held_bytes,
        engine=manifest.plan.engine,
        memory=BoardMemory(weight_bytes=footprint.weight_bytes, ram_bytes=footprint.arena_bytes) if footprint else None,
    )
    return Checked(
        label=manifest.plan.label,
        made=True,
        problems=(*_parity_problems(manifest.parity), *misfits),
        parity=manifest.parity,
        operators=manifest.operators,
        placement=placement,
        memory=memory,
        footprint=footprint,
        board=BoardMemory(weight_bytes=profile.flash_bytes, ram_bytes=profile.memory_bytes) if bare else None,
        notes=manifest.notes,
    )


def _parity_problems(parity: Parity) -> Iterator[Objection]:
    if not parity.passed:
        worst = parity.worst
        yield Objection(
            cause=f"It computes something else than its source: output {worst.name!r} differs by "
            f"{worst.relative_rms:.2g} (relative RMS error), and the bar is {parity.max_error:g}.",
            hint="`edgekit verify --layers` finds the layers that a quantized artifact's error comes from.",
        )


def _placed(artifact: Artifact, limits: Limits, progress: Progress) -> Placement:
    with worker(PlaceJob(artifact=str(artifact.path)), {}, limits) as running:
        for event in running.events(progress):
            if isinstance(event, Placed):
                return event.placement
    raise AssertionError("a place job ends with its result or an error")
