"""Source model in, verified artifacts out: plan everything first, then let a worker make what is not cached."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from edgekit.artifact import Artifact, load_artifact
from edgekit.cache import making, recall, remember
from edgekit.errors import EdgekitError
from edgekit.fingerprint import hash_source
from edgekit.isolation import Worker, WorkerCrashed, failure, worker
from edgekit.jobs import Build, Built, ConvertJob, Depends, Failed
from edgekit.planning import Planned, Request, plan_conversion
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress
from edgekit.publish import explain_full_disk, publish, staging


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact, whether it had been made before, and the seconds it took beyond those before it."""

    artifact: Artifact
    cached: bool
    seconds: float


class NotMade(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact that could not be made, why, and the seconds until that was known."""

    label: str
    error: EdgekitError
    seconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request, each part in the order it was asked for."""

    made: tuple[Made, ...]
    not_made: tuple[NotMade, ...]


def convert_all(
    request: Request, progress: Progress | None = None, *, planned: Sequence[Planned] | None = None
) -> Outcome:
    """Make every artifact that the request asks for.

    One that cannot be made does not keep the others from being made.

    Args:
        request: What is asked for.
        progress: Told of each step.
        planned: Which of the request's artifacts, as they were planned; all of them when None.

    Raises:
        UsageError: The request is wrong; nothing was made.
        ConversionError: The source cannot be loaded; nothing was made.
    """
    planned = plan_conversion(request) if planned is None else planned
    telling = progress or SilentProgress()
    with staging(request.out) as folder:
        outcomes: dict[str, Made | NotMade] = {**_recalled(planned, request, folder)}
        todo = [item for item in planned if item.key not in outcomes]
        with making({item.key: item.name for item in todo} if request.use_cache else {}, telling):
            outcomes |= _recalled(todo, request, folder)
            todo = [item for item in todo if item.key not in outcomes]
            if todo:
                outcomes |= _Workshop(request, folder, telling).make_all(todo)
    ordered = [outcomes[item.key] for item in planned]
    return Outcome(
        made=tuple(item for item in ordered if isinstance(item, Made)),
        not_made=tuple(item for item in ordered if isinstance(item, NotMade)),
    )


def _recalled(planned: Sequence[Planned], request: Request, folder: Path) -> dict[str, Made]:
    """Those that were made before, put where the user wants them."""
    outcomes: dict[str, Made] = {}
    for item in planned if request.use_cache else ():
        if (artifact := recall(item.key)) is not None:
            copy = shutil.copytree(artifact.path, folder / item.key)
            installed = msgspec.structs.replace(artifact, path=publish(copy, request.out, item.name))
            outcomes[item.key] = Made(artifact=installed, cached=True, seconds=0.0)
    return outcomes


class _Workshop:
    """Lets workers make artifacts: one worker for all that share a reader, so that the source is loaded once."""

    def __init__(self, request: Request, folder: Path, progress: Progress) -> None:
        self._request = request
        self._folder = folder
        self._progress = progress
        _check_data(request)
        self._source_sha256 = hash_source(request.source)

    def make_all(self, todo: Sequence[Planned]) -> dict[str, Made | NotMade]:
        """Make them; a worker that crashes is replaced, and goes on behind the artifact that caused it."""
        outcomes: dict[str, Made | NotMade] = {}
        groups = list(_by_reader(todo))
        for group in groups:
            left, since = group, _stopwatch()
            while left:
                try:
                    outcomes |= self._make(left)
                except EdgekitError as error:  # this reader cannot load the source; another one may
                    if len(groups) == 1:
                        raise
                    outcomes |= {
                        item.key: NotMade(label=item.plan.label, error=error, seconds=since()) for item in left
                    }
                left = [item for item in left if item.key not in outcomes]
        return outcomes

    def _make(self, group: Sequence[Planned]) -> dict[str, Made | NotMade]:
        outcomes: dict[str, Made | NotMade] = {}
        job, since = self._job(group), _stopwatch()
        try:
            with worker(job, group[0].way.reader.environment, self._request.limits) as running:
                for item, outcome in self._follow(running, job, group):
                    outcomes[item.key] = outcome
        except WorkerCrashed as error:
            blamed = next((item for item in group if item.key not in outcomes), None)
            if blamed is not None:
                outcomes[blamed.key] = NotMade(label=blamed.plan.label, error=error, seconds=since())
        return outcomes

    def _follow(
        self, running: Worker, job: ConvertJob, group: Sequence[Planned]
    ) -> Iterator[tuple[Planned, Made | NotMade]]:
        depends: Sequence[str] = ()
        since = _stopwatch()
        for event in running.events(self._progress):
            if isinstance(event, Depends):
                depends = (*depends, *event.files)
            elif isinstance(event, Built):
                item = group[event.place]
                artifact = self._keep(job.builds[event.place], item, depends)
                yield item, Made(artifact=artifact, cached=False, seconds=since())
            elif isinstance(event, Failed) and event.place is not None:
                item = group[event.place]
                error = explain_full_disk(failure(event, running.log), self._request.out)
                yield item, NotMade(label=item.plan.label, error=error, seconds=since())

    def _job(self, group: Sequence[Planned]) -> ConvertJob:
        return ConvertJob(
            source=self._request.source,
            source_sha256=self._source_sha256,
            reader=group[0].way.reader.name,
            builds=tuple(
                Build(plan=item.plan, name=item.name, folder=str(self._folder / item.key / item.name)) for item in group
            ),
            calibration=self._request.calibration,
            evaluation=self._request.evaluation,
            images=self._request.images,
        )

    def _keep(self, build: Build, item: Planned, depends: Sequence[str]) -> Artifact:
        artifact = load_artifact(publish(Path(build.folder), self._request.out, item.name))
        remember(item.key, artifact, depends)
        return artifact


def _stopwatch() -> Callable[[], float]:
    """Tells the seconds since it was asked before, or was made."""
    last = time.monotonic()

    def since() -> float:
        nonlocal last
        before, last = last, time.monotonic()
        return round(last - before, 2)

    return since


def _by_reader(todo: Sequence[Planned]) -> Iterator[list[Planned]]:
    groups: dict[str, list[Planned]] = {}
    for item in todo:
        groups.setdefault(item.way.reader.name, []).append(item)
    yield from groups.values()


def _check_data(request: Request) -> None:
    """Refuse sets that are damaged, before a worker starts; a function of the user's runs in a worker alone."""
    from edgekit.dataset import DataSet

    for what, path in (("calibration", request.calibration), ("evaluation", request.evaluation)):
        if path:
            DataSet(path, what=what, images=request.images)
