"""Progress that says nothing: the default of the Python API."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.protocols import Step


class _SilentStep:
    def advance(self, amount: float = 1) -> None:
        """Say nothing."""


class SilentProgress:
    """Takes every step and shows none."""

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:  # noqa: ARG002 - the protocol's
        """Open a step that shows nothing."""
        yield _SilentStep()
