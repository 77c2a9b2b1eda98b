"""Every failure a user can cause, by where the fault lies.

Each error carries the cause (what happened), a hint (what to do next) and the exit code the command line
ends with. A bug is not an `EdgekitError`: it keeps its traceback.
"""

from pathlib import Path
from typing import ClassVar


class EdgekitError(Exception):
    """The base of all failures that a user can cause or mend.

    Args:
        cause: What went wrong, naming the file, key or value.
        hint: The next step that mends it; empty when there is none to give.
        log: The file that holds the full output of the program that failed.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, cause: str, *, hint: str = "", log: Path | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint
        self.log = log


class UsageError(EdgekitError):
    """The request is wrong: an unknown name, a missing file, data that does not fit the model."""

    exit_code = 2


class ConversionError(EdgekitError):
    """The model could not be converted; the request itself was sound."""


class DeviceError(EdgekitError):
    """The device could not be reached or used.

    Args:
        cause: See `EdgekitError`.
        hint: See `EdgekitError`.
        log: See `EdgekitError`.
        transient: Whether the same call may succeed when tried again.
    """

    def __init__(self, cause: str, *, hint: str = "", log: Path | None = None, transient: bool = False) -> None:
        super().__init__(cause, hint=hint, log=log)
        self.transient = transient


class MeasurementError(DeviceError):
    """The device was reached, but the measurement did not complete."""


class CheckFailed(EdgekitError):  # noqa: N818 - reads as what it is: a check that failed, not an error of ours
    """A check that was asked for did not pass: parity, accuracy, a fit to a target."""

    exit_code = 1
