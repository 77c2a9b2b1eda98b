"""Files that want to run code or to take the machine down: how long and how much memory it takes to refuse each.

Each is given to `edgekit convert` in a process of its own. It must end with exit code 2 or 3 and a cause, without a
traceback, without having run what the file wanted to run, and without leaving anything behind.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alternating import Check, conclude

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from models.hostile import CANARY, CASES

BAR_S: Final = 10.0
BAR_GB: Final = 1.074
"""One gibibyte."""


@dataclass
class _Peak:
    """The most memory that a process and all below it held together, bytes."""

    bytes: int = 0
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def _watched(pid: int) -> Iterator[_Peak]:
    peak = _Peak()

    def watch() -> None:
        while not peak.ended.wait(0.02):
            peak.bytes = max(peak.bytes, sum(map(_resident, _below(pid))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak.ended.set()
        thread.join()


def _below(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _below(int(child)))]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


@dataclass(frozen=True)
class Refusal:
    """What became of one file."""

    name: str
    seconds: float
    gigabytes: float
    wrong: str
    cause: str


def _refuse(name: str) -> Refusal:
    with tempfile.TemporaryDirectory() as folder:
        home, scratch, out = (Path(folder) / part for part in ("home", "scratch", "out"))
        for place in (home, scratch, out):
            place.mkdir()
        program = Path(sys.executable).with_name("edgekit")
        words = CASES[name](home)
        start = time.perf_counter()
        process = subprocess.Popen(
            [program, "convert", *words, "-o", out],
            cwd=home, env={**os.environ, "TMPDIR": str(scratch), "EDGEKIT_CACHE": str(Path(folder) / "cache")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        with _watched(process.pid) as peak:
            said, _ = process.communicate()
        seconds = time.perf_counter() - start
        left = [*scratch.iterdir(), *out.iterdir(), *Path(folder).rglob(CANARY)]
    wrong = [f"exit code {process.returncode}"] if process.returncode not in {2, 3} else []
    wrong += ["a traceback"] if "Traceback" in said else []
    wrong += [f"left {left[0].name}"] if left else []
    return Refusal(name, seconds, peak.bytes / 1e9, ", ".join(wrong), _cause(said))


def _cause(said: str) -> str:
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in lines if line.startswith(("error:", "✗"))), "").removeprefix("error: ")


def main() -> int:
    """Have every file refused, and judge the slowest, the largest, and what went wrong."""
    refusals = [_refuse(name) for name in CASES]
    lines = [
        f"{item.name:32} {item.seconds:5.1f} s {item.gigabytes:5.2f} GB  {item.wrong or item.cause[:100]}"
        for item in refusals
    ]
    checks = [
        Check("files not refused as they should be", sum(bool(item.wrong) for item in refusals), 0),
        Check("the slowest", max(item.seconds for item in refusals), BAR_S, unit="s"),
        Check("the largest, all processes together", max(item.gigabytes for item in refusals), BAR_GB, unit="GB"),
    ]
    facts = {
        item.name: {"seconds": round(item.seconds, 2), "gigabytes": round(item.gigabytes, 3), "wrong": item.wrong}
        for item in refusals
    }
    return conclude("hostile", lines, {"files": facts}, checks)


if __name__ == "__main__":
    sys.exit(main())
