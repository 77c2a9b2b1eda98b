"""Where a worker crashed, from the traceback that Python's faulthandler left in its log.

A crash has no exception. The Python frames above it tell which operator was called, and by which line of the user's.
"""

import re
import sysconfig
from pathlib import Path
from typing import Final

import msgspec

_FRAME: Final = re.compile(r'  File "(.+)", line (\d+) in (.+)')
_THREAD: Final = re.compile(r"(?:Current thread|Thread) 0x\w+.* \(most recent call first\):\n")
"""Each thread's heading (Python/traceback.c, `write_thread_id`)."""

_INSTALLED: Final = re.compile(r".*/(?:site|dist)-packages/")
_OURS: Final = re.compile(r".*/edgekit(?:_converters|_bridge)?/")
_LONGEST: Final = 100


class _Frame(msgspec.Struct, frozen=True):
    file: str
    line: int
    function: str

    @property
    def installed(self) -> bool:
        return bool(_INSTALLED.match(self.file)) or self.file.startswith((sysconfig.get_path("stdlib"), "<"))

    @property
    def ours(self) -> bool:
        return bool(_OURS.match(self.file))


def crash_site(log: str) -> str:
    """What was running: `in conv2d (torch/nn/functional.py), called in net.py line 7: …`; empty when nobody knows."""
    frames = [frame for frame in _frames(log) if not frame.ours]
    users = next((frame for frame in frames if not frame.installed), None)
    words = []
    if frames and frames[0].installed:
        words.append(f"in {frames[0].function} ({_INSTALLED.sub('', frames[0].file)})")
    if users is not None:
        begin = "called in" if words else "in"
        words.append(f"{begin} {Path(users.file).name} line {users.line}{_quoted(users)}")
    return ", ".join(words)


def _frames(log: str) -> list[_Frame]:
    """Of the thread that crashed; of the main one, which is listed last, when that thread runs no Python."""
    _, fatal, dump = log.rpartition("Fatal Python error:")
    threads = list(_THREAD.finditer(dump)) if fatal else []
    chosen = next((item for item in threads if item[0].startswith("Current")), threads[-1] if threads else None)
    if chosen is None:
        return []
    frames = _of_one_thread(dump[chosen.end() :])
    return frames or _of_one_thread(dump[threads[-1].end() :])


def _of_one_thread(text: str) -> list[_Frame]:
    frames = []
    for line in text.splitlines():
        found = _FRAME.fullmatch(line)
        if found is None:
            break
        frames.append(_Frame(found[1], int(found[2]), found[3]))
    return frames


def _quoted(frame: _Frame) -> str:
    """The line itself, which names the operator; nothing where the file cannot be read any more."""
    try:
        lines = Path(frame.file).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    text = lines[frame.line - 1].strip() if frame.line <= len(lines) else ""
    return f": {text[:_LONGEST]}" if text else ""
