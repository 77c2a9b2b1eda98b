"""Progress of long work on standard error: live on a terminal, a line a step elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from edgekit.protocols import Progress, Step

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


_WORTH_A_LINE_S: Final = 0.1
"""Shorter steps are not worth a line in a log."""


class _LiveStep:
    def __init__(self, bars: "Bars", task: "TaskID") -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)


class _LiveProgress:
    """A spinner, the step's title and its time; finished steps stay as a line."""

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = [SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}")]
        bar = [BarColumn(bar_width=20)] if total is not None else []
        with Bars(*columns, *bar, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
            task = bars.add_task(title, total=total)
            yield _LiveStep(bars, task)
            bars.update(task, total=total or 1, completed=total or 1)


class _PlainStep:
    def advance(self, amount: float = 1) -> None:
        """A log has no bar."""


class _PlainProgress:
    """A line when a step is done that took a while: what a log or a CI run wants."""

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:  # noqa: ARG002 - the protocol's
        start = time.monotonic()
        yield _PlainStep()
        if (took_s := time.monotonic() - start) >= _WORTH_A_LINE_S:
            print(f"  {title} ({took_s:.1f} s)", file=sys.stderr, flush=True)


def terminal_progress() -> Progress:
    """The progress that suits standard error."""
    return _LiveProgress() if sys.stderr.isatty() else _PlainProgress()
