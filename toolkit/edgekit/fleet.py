"""Many devices at once: a bounded number of threads, and one that fails stops no other."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, NamedTuple, TypeVar

from edgekit.errors import EdgekitError
from edgekit.inventory import Device, find_devices
from edgekit.protocols import Progress

T = TypeVar("T")

JOBS: Final = 8
"""Devices at once, where nobody says."""

STOP: Final = threading.Event()
"""Set when the user wants everything to end: whatever waits in a thread of a fleet then raises KeyboardInterrupt."""


class Outcome(NamedTuple, Generic[T]):
    """What became of one device: a value, or the error."""

    device: Device
    value: T | None
    error: EdgekitError | None


def find_all(texts: Sequence[str]) -> tuple[Device, ...]:
    """The devices that several texts name, each once, in order.

    Raises:
        UsageError: One of them names none.
    """
    found = {device.url: device for text in texts for device in find_devices(text)}
    return tuple(found.values())


def each(
    devices: Sequence[Device],
    work: Callable[[Device, Progress], T],
    progress: Callable[[Device], Progress],
    *,
    jobs: int = JOBS,
) -> list[Outcome[T]]:
    """Do the same on every device; outcomes in the devices' order.

    Args:
        devices: Where.
        work: What; it may raise any `EdgekitError`.
        progress: Where a device's work tells how far it is.
        jobs: Devices at once.
    """
    if len(devices) == 1:
        return [_one(devices[0], work, progress)]
    with ThreadPoolExecutor(max_workers=max(1, min(jobs, len(devices)))) as pool:
        futures = [pool.submit(_one, device, work, progress) for device in devices]
        try:
            return [future.result() for future in futures]
        except BaseException:
            _stop(futures)
            raise


def _one(device: Device, work: Callable[[Device, Progress], T], progress: Callable[[Device], Progress]) -> Outcome[T]:
    try:
        return Outcome(device, work(device, progress(device)), None)
    except EdgekitError as error:
        return Outcome(device, None, error)


def _stop(futures: Sequence[Future[Outcome[T]]]) -> None:
    """End what has not begun, and wake what waits; each cleans up after itself."""
    STOP.set()
    for future in futures:
        future.cancel()
    for future in futures:
        if not future.cancelled():
            future.exception()
    STOP.clear()
