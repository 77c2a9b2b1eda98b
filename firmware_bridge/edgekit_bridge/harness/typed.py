"""The harness's errors, where this host runs its code, as those of this package."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from edgekit.errors import EdgekitError, MeasurementError, UsageError
from edgekit_bridge.harness import on_device

_ERRORS: Final[Mapping[str, Callable[[str], EdgekitError]]] = {"bad-input": UsageError, "no-compiler": UsageError}
"""The error for a kind of `HarnessError`; every other kind is a `MeasurementError`."""


@contextmanager
def typed_errors() -> Iterator[None]:
    """The harness's errors as those of this package."""
    try:
        yield
    except on_device.HarnessError as error:
        raise _ERRORS.get(error.kind, MeasurementError)(str(error)) from error
