"""`edgekit.probe`: what a device is, and which target profile describes it."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.device_facts import DeviceFacts
from edgekit.errors import UsageError
from edgekit.inventory import Device
from edgekit.reach import OPEN_TIMEOUT_S, one_device
from edgekit.target import TargetProfile

_PLAIN: Final = {"aarch64": "linux-aarch64", "armv7l": "linux-armv7", "x86_64": "linux-x86_64"}
"""The profile of a board that no profile knows, by what its programs are of."""

_ANDROID: Final = {"aarch64": "android-arm64", "armv7l": "android-armv7"}


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The target profile that fits a device, and why, in a sentence; no target where none does."""

    target: str
    why: str


def probe(device: Device | str = "local:") -> DeviceFacts:
    """Ask a device what it is.

    Args:
        device: The device, its URL, or its name in the inventory.

    Raises:
        UsageError: There is no such device, or there are several.
        DeviceError: It cannot be reached, or does not answer with facts.
    """
    url = parse_device((one_device(device) if isinstance(device, str) else device).url)
    with catalog.transport(url.scheme).open(url, timeout_s=OPEN_TIMEOUT_S) as link:
        return catalog.probe().describe(link)


def propose_target(device: Device, facts: DeviceFacts) -> Proposal:
    """The profile that describes a device best: that of its board, else of its processor's family."""
    if parse_device(device.url).scheme == "local":
        return Proposal(target="host", why="It is this machine.")
    profiles = list(_profiles())
    if facts.os.startswith("Android "):
        found = _ANDROID.get(facts.userland, "")
        return Proposal(target=found, why=f"It is {facts.userland} Android.")
    boards = sorted(
        (profile for profile in profiles if _likeness(profile, facts.model)),
        key=lambda profile: -_likeness(profile, facts.model),
    )
    fitting = [profile for profile in boards if profile.arch == facts.userland]
    if fitting:
        return Proposal(target=fitting[0].name, why=f"Its board calls itself {facts.model!r}.")
    plain = _PLAIN.get(facts.userland)
    if plain is None:
        return Proposal(target="", why=f"edgekit has no profile for {facts.userland or 'an unknown processor'}.")
    return Proposal(target=plain, why=f"{_why_plain(facts, boards)} {facts.userland} Linux.")


def _why_plain(facts: DeviceFacts, boards: list[TargetProfile]) -> str:
    if boards:
        return f"Its board is that of {boards[0].name}, but its programs are not {boards[0].arch}; they are of"
    if facts.model:
        return f"No profile is of a board called {facts.model!r}; it is"
    return "It does not say which board it is; it is"


def _profiles() -> Iterator[TargetProfile]:
    """Every profile that is written down and right."""
    library = catalog.targets()
    for name in library.names():
        with suppress(UsageError):
            if name != "host":
                yield library.load(name)


def _likeness(profile: TargetProfile, model: str) -> int:
    """Letters of the longest of its boards that a device calls itself; 0 for none."""
    return max((len(board) for board in profile.boards if board.casefold() in model.casefold()), default=0)
