"""What a worker may take: seconds and bytes, and how running out of either is told."""

import os
import re
from typing import Final

import msgspec

TIMEOUT_S: Final = 1800.0
"""The time a worker may take for one job; a phone-sized model converts in under two minutes."""

_SHARE: Final = 0.8
"""Of this machine's memory, so that the machine stays usable whatever a model asks for."""

_OUT_OF_MEMORY: Final = re.compile(
    r"bad_alloc|allocate memory|Failed to allocate|failed to allocate|MemoryError|ResourceExhausted|Unable to allocate"
)
"""How frameworks say that they got no memory: C++, torch, ONNX Runtime, LiteRT, Python, TensorFlow, NumPy."""


def most_memory() -> int:
    """The memory that a worker may take when nobody says otherwise, bytes."""
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _SHARE)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker may take.

    Attributes:
        timeout_s: Seconds, for all of its job.
        memory: Bytes that it may allocate (RLIMIT_DATA of setrlimit(2): its heap and private mappings, frameworks'
            own included).
    """

    timeout_s: float = TIMEOUT_S
    memory: int = msgspec.field(default_factory=most_memory)


def ran_out_of_memory(text: str) -> bool:
    """Whether a framework's message says that it got no memory."""
    return bool(_OUT_OF_MEMORY.search(text))
