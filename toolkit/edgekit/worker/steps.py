"""Progress that goes to the host."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.jobs import StepBegan
from edgekit.protocols import Step
from edgekit.worker.loading import Tell


class Steps:
    """Tells the host which step has begun; the host shows time, not amounts."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:  # noqa: ARG002 - the protocol's
        """Begin a step; it ends when the next begins."""
        self._tell(StepBegan(title))
        yield self

    def advance(self, amount: float = 1) -> None:
        """Say nothing."""
