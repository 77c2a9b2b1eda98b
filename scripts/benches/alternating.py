"""Wall time of commands, run in turns so that drift of the machine meets all of them alike."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Command:
    """A program to time: its arguments, what its environment has beside ours, and what must not be there yet."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    fresh: Sequence[Path] = ()


def command(*argv: str | Path, fresh: Sequence[Path] = (), **environment: str | Path) -> Command:
    """A command from its words; keywords are environment variables, `fresh` folders are removed before each run."""
    return Command([str(word) for word in argv], {name: str(value) for name, value in environment.items()}, fresh)


def wall_s(program: Command) -> float:
    """Run it once; the seconds from start to end.

    Raises:
        SystemExit: It failed; its output is shown.
    """
    for folder in program.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    done = subprocess.run(
        program.argv,
        env={**os.environ, **program.environment},
        capture_output=True,
        check=False,
        text=True,
    )
    elapsed = time.perf_counter() - start
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise SystemExit(f"{' '.join(program.argv)} ended with {done.returncode}.")
    return elapsed


def peak_bytes(program: Command) -> int:
    """Run it once; the most memory that it, or the largest process below it, held (wait4(2), ru_maxrss).

    Raises:
        SystemExit: It failed.
    """
    for folder in program.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    running = subprocess.Popen(
        program.argv,
        env={**os.environ, **program.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(program.argv)} ended with {running.returncode}.")
    return usage.ru_maxrss * 1024


def medians_s(programs: Mapping[str, Command], rounds: int) -> dict[str, float]:
    """The median wall time of each program over `rounds` rounds; every round runs each once, turning the order."""
    taken: dict[str, list[float]] = {name: [] for name in programs}
    order = list(programs)
    for _ in range(rounds):
        for name in order:
            taken[name].append(wall_s(programs[name]))
        order.reverse()
    return {name: statistics.median(values) for name, values in taken.items()}


@dataclass(frozen=True)
class Check:
    """A figure with the range it must lie in."""

    what: str
    value: float
    most: float
    least: float = 0.0
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure lies within the bar."""
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        """The figure, its bar and the verdict, in a line."""
        bar = f"{self.least:g} to {self.most:.4g}" if self.least else f"at most {self.most:.4g}"
        unit = f" {self.unit}" if self.unit else ""
        return f"  {'ok ' if self.passed else 'OFF'}  {self.what:<58} {self.value:7.3f}{unit}  (bar: {bar}{unit})"


def conclude(name: str, lines: Sequence[str], facts: Mapping[str, Any], checks: Sequence[Check]) -> int:
    """Print a benchmark's outcome, as JSON when `--json` was given; 1 when a bar was missed."""
    passed = all(check.passed for check in checks)
    if "--json" in sys.argv:
        verdicts = [{**vars(check), "passed": check.passed} for check in checks]
        print(json.dumps({"benchmark": name, "passed": passed, "facts": facts, "checks": verdicts}))
    else:
        print("\n".join([name, *(f"  {line}" for line in lines), *map(str, checks)]))
    return 0 if passed else 1
