"""What a device's file system refuses, by its own words, and the next step."""

from typing import Final

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
