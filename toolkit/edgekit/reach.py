"""Open a device by what users call it, and have it for oneself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from edgekit import catalog
from edgekit.device import DeviceUrl, parse_device
from edgekit.errors import DeviceError, UsageError
from edgekit.inventory import Device, find_devices
from edgekit.protocols import Harness, Link, Progress
from edgekit.target import TargetProfile

OPEN_TIMEOUT_S: Final = 30.0
"""How long a device may take to answer."""

WAIT_S: Final = 600.0
"""How long one waits for a device that somebody else works on."""


class Opened(NamedTuple):
    """A device that is open: the link, its URL, and the profile that it is taken for."""

    link: Link
    url: DeviceUrl
    profile: TargetProfile


def one_device(text: str) -> Device:
    """The one device that a URL or a name stands for.

    Raises:
        UsageError: There is none, or it is a group of several.
    """
    found = find_devices(text)
    if len(found) > 1:
        names = ", ".join(device.name for device in found)
        raise UsageError(f"{text} is {len(found)} devices ({names}), and one is asked for.", hint="Name one of them.")
    return found[0]


def profile_of(device: Device, target: str) -> TargetProfile:
    """The profile that is asked for, else the inventory's, else this host's.

    Raises:
        UsageError: There is no such profile.
    """
    return catalog.targets().load(target or device.target or "host")


@contextmanager
def open_device(device: str, target: str) -> Iterator[Opened]:
    """Reach a device.

    Args:
        device: A URL, or a name of the inventory or of a virtual device.
        target: The profile's name; empty for what the inventory says.

    Raises:
        UsageError: There is no such device, transport or profile.
        DeviceError: It cannot be reached.
    """
    found = one_device(device)
    url, profile = parse_device(found.url), profile_of(found, target)
    with catalog.transport(url.scheme).open(url, timeout_s=OPEN_TIMEOUT_S) as link:
        yield Opened(link, url, profile)


@contextmanager
def open_alone(device: str, target: str, purpose: str, progress: Progress) -> Iterator[Opened]:
    """Reach a device, and hold it: nobody else measures there or changes it meanwhile.

    Args:
        device: As for `open_device`.
        target: As for `open_device`.
        purpose: What for; who waits is told.
        progress: Told whom we wait for.

    Raises:
        UsageError: As `open_device`.
        DeviceError: It cannot be reached, or somebody else holds it for longer than `WAIT_S`.
    """
    with (
        open_device(device, target) as opened,
        catalog.guard().hold(opened.link, purpose, wait_s=WAIT_S, progress=progress),
    ):
        yield opened


def harness_on(link: Link, runtime: str, format_: str) -> Harness:
    """What measures a format on a device: the runtime's own harness, ours where there is Python, else a program.

    Args:
        link: The way to the device.
        runtime: What the user asked for; empty for the best there is.
        format_: The artifact's format.

    Raises:
        UsageError: Nothing of ours runs it.
    """
    if format_ == "tflm":
        raise UsageError(
            "A tflm artifact goes into firmware of your own: no program of edgekit's runs it on a device.",
            hint="Measure the same model as tflite, or on a microcontroller as c (`edgekit firmware build`).",
        )
    if runtime:
        return catalog.harness(runtime)
    try:
        link.python()
    except DeviceError:
        return catalog.harness(catalog.NATIVE.get(format_, ""))
    return catalog.harness()
