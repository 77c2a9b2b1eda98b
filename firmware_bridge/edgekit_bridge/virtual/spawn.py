"""Start what outlives us."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_STARTED: Final[list["subprocess.Popen[bytes]"]] = []
"""Held until we end: Python warns of a process that is forgotten while it runs."""


def spawn(
    argv: list[str], log: Path, *, stdin: int, folder: Path, descriptors: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, its output in a file.

    Args:
        argv: The program and its arguments.
        log: Where its output goes; begun anew.
        stdin: As for subprocess.Popen.
        folder: Where it is started.
        descriptors: Of ours, that it inherits.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=output, stderr=output, start_new_session=True, cwd=folder, pass_fds=descriptors
        )
    _STARTED.append(process)
    return process
