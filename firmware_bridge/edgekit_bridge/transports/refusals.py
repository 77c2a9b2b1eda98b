"""What clients and devices refuse, by their own words, and the next step."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from edgekit.errors import DeviceError

_ELSEWHERE: Final = "give edgekit another folder there: ?home=/media/disk/edgekit at the end of the device's URL"

_HINTS: Final = {
    "No space left": f"Free some space on the device, or {_ELSEWHERE}.",
    "Disk quota exceeded": f"Free some space on the device, or {_ELSEWHERE}.",
    "Read-only file system": f"Mount it writable, or {_ELSEWHERE}.",
    "Permission denied": f"Make the folder writable for the user there, or {_ELSEWHERE}.",
    "Operation not permitted": f"Some file systems (FAT) know no links: {_ELSEWHERE}.",
    "Input/output error": "The device's storage fails: look at its kernel log (dmesg), and at the card or disk.",
}
"""By the C library's words for an error number, in the C locale (strerror(3))."""


class Fault(NamedTuple):
    """What a client says when it does not reach a device, as a pattern; what that means, what to do, and if it passes.

    Cause and hint may hold names in braces.
    """

    pattern: str
    cause: str
    hint: str
    transient: bool


def explained(said: str, faults: Sequence[Fault], names: Mapping[str, str]) -> DeviceError | None:
    """The error for what a client said; None when nobody has seen that before.

    Args:
        said: Its words.
        faults: What is known of them; the first that fits is meant.
        names: What stands for the names in causes and hints.
    """
    for fault in faults:
        if re.search(fault.pattern, said):
            cause, hint = (text.format(**names) for text in (fault.cause, fault.hint))
            return DeviceError(cause, hint=hint, transient=fault.transient)
    return None


def refusal(what: str, stderr: bytes) -> DeviceError:
    """The error for a program that failed on files there.

    Args:
        what: What did not work, as the beginning of a sentence.
        stderr: What the program wrote to its standard error.
    """
    words = stderr.decode(errors="replace").strip().splitlines() or ["the device did not say why"]
    said = next((line for line in reversed(words) if any(known in line for known in _HINTS)), words[-1])
    hint = next((hint for known, hint in _HINTS.items() if known in said), "")
    return DeviceError(f"{what}: {said}", hint=hint)
