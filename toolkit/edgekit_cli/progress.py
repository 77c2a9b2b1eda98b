"""Progress of long work on standard error: live on a terminal, a line a step elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from edgekit.protocols import Progress, Step

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


_WORTH_A_LINE_S: Final = 0.1
"""Shorter steps leave no line behind."""


@contextmanager
def _told(title: str) -> Iterator[None]:
    """Leave a line with the time it took, unless that was nothing, or it failed."""
    start = time.monotonic()
    yield
    if (took_s := time.monotonic() - start) >= _WORTH_A_LINE_S:
        print(f"  {title} ({took_s:.1f} s)", file=sys.stderr, flush=True)


class _LiveStep:
    def __init__(self, bars: "Bars", task: "TaskID") -> None:
        self._bars = bars
        self._task = task

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)


class _LiveProgress:
    """A spinner, the step's title, a bar where the end is known, and the time."""

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        bar = [BarColumn(bar_width=20)] if total is not None else []
        with (
            _told(title),
            Bars(*columns, *bar, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars,
        ):
            yield _LiveStep(bars, bars.add_task(title, total=total))


class _PlainStep:
    def advance(self, amount: float = 1) -> None:
        """A log has no bar."""


class _PlainProgress:
    """What a log or a CI run wants."""

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:  # noqa: ARG002 - the protocol's
        with _told(title):
            yield _PlainStep()


class _NamedProgress:
    """A device's part of a log: its name before each line."""

    def __init__(self, name: str) -> None:
        self._name = name

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:  # noqa: ARG002 - the protocol's
        with _told(f"{self._name}: {title}"):
            yield _PlainStep()


class _Row:
    """A device's line in the live table."""

    def __init__(self, bars: "Bars", task: "TaskID") -> None:
        self._bars = bars
        self._task = task

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        self._bars.reset(self._task, total=total, step=title)
        yield _LiveStep(self._bars, self._task)
        self._bars.update(self._task, step="")


@contextmanager
def fleet_progress(title: str, names: Sequence[str]) -> Iterator[Callable[[str], Progress]]:
    """The progress of several devices, by name: one live table on a terminal, named lines elsewhere."""
    if len(names) == 1:
        yield lambda _: terminal_progress()
    elif not sys.stderr.isatty():
        yield _NamedProgress
    else:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        width = max(map(len, names))
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=12), TimeElapsedColumn())
        step = TextColumn("{task.fields[step]}")
        with Bars(*columns, step, console=Console(stderr=True), transient=True) as bars:
            rows = {name: bars.add_task(name.ljust(width), total=None, step=title) for name in names}
            yield lambda name: _Row(bars, rows[name])


def terminal_progress() -> Progress:
    """The progress that suits standard error."""
    return _LiveProgress() if sys.stderr.isatty() else _PlainProgress()
