"""The same work on every device that the command line names: one view of progress, failures collected."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from edgekit.errors import EdgekitError
from edgekit.fleet import JOBS, Outcome, find_all
from edgekit.fleet import each as on_each
from edgekit.inventory import Device
from edgekit.protocols import Progress
from edgekit_cli.progress import fleet_progress

T = TypeVar("T")


class Outcomes(Generic[T]):
    """What became of each device."""

    def __init__(self, items: Sequence[Outcome[T]]) -> None:
        self.items = items

    @property
    def many(self) -> bool:
        """Whether there is more than one device, so that each has to be named."""
        return len(self.items) > 1

    @property
    def exit_code(self) -> int:
        """The worst of all."""
        return max((error.exit_code for _, error in self.failures()), default=0)

    def values(self) -> Iterator[tuple[Device, T]]:
        """What went well."""
        return ((item.device, item.value) for item in self.items if item.value is not None)

    def failures(self) -> Iterator[tuple[Device, EdgekitError]]:
        """What did not."""
        return ((item.device, item.error) for item in self.items if item.error is not None)


def each(texts: Sequence[str], work: Callable[[Device, Progress], T], *, title: str, jobs: int = JOBS) -> Outcomes[T]:
    """Do the same on every device that is named.

    Args:
        texts: URLs, names and groups.
        work: What to do.
        title: What that is called while it is under way.
        jobs: Devices at once.

    Raises:
        UsageError: No such device.
        EdgekitError: What the work raised, when there is one device alone.
    """
    devices = find_all(texts)
    with fleet_progress(title, [device.name for device in devices]) as progress:
        items = on_each(devices, work, lambda device: progress(device.name), jobs=jobs)
    if len(items) == 1 and items[0].error:
        raise items[0].error
    return Outcomes(items)
