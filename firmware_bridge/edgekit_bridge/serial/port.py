"""Open a serial line, so that every way in which that fails says what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from edgekit.errors import DeviceError, UsageError
from edgekit.serial_url import SerialUrl

if TYPE_CHECKING:
    from serial import SerialBase

_BUSY: Final = frozenset({errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK})


@contextmanager
def open_port(where: SerialUrl, *, timeout_s: float = 0.05) -> "Iterator[SerialBase]":
    """Have a serial line for oneself; what waits on it from before is thrown away.

    Args:
        where: The line.
        timeout_s: How long a read waits for a first byte, seconds.

    Raises:
        UsageError: pyserial is not installed, or it knows no such port or rate.
        DeviceError: The port does not exist, may not be opened, or somebody else has it.
    """
    try:
        import serial
    except ModuleNotFoundError:
        raise UsageError("Serial lines need pyserial.", hint="pip install 'edgekit-toolkit[serial]'") from None
    own: dict[str, Any] = {} if "://" in where.port else {"exclusive": True}
    try:
        port = serial.serial_for_url(where.port, baudrate=where.baud, timeout=timeout_s, write_timeout=None, **own)
    except ValueError as error:
        raise UsageError(
            f"{where.port} is no serial port: {error}.", hint="`edgekit devices discover` lists them."
        ) from None
    except (serial.SerialException, OSError) as error:
        raise _refusal(where, error) from None
    # pyserial forgets a socket whose other end is gone without closing it.
    held = getattr(port, "_socket", None)
    try:
        port.reset_input_buffer()
        yield cast("SerialBase", port)
    finally:
        port.close()
        if held is not None:
            held.close()


def _refusal(where: SerialUrl, error: Exception) -> DeviceError:
    """Why a port does not open; pyserial hides the number that the system gave in different places."""
    number = getattr(error, "errno", None) or getattr(error.__context__, "errno", None)
    text = str(error)
    if number is None:
        number = next((code for code in errno.errorcode if f"[Errno {code}]" in text), 0)
    if number == errno.EACCES:
        return DeviceError(
            f"You may not open {where.port}.",
            hint="Join the group that may: sudo usermod -aG dialout $USER, then log in again.",
        )
    if number in _BUSY or "exclusively lock" in text:
        return DeviceError(
            f"Somebody else has {where.port}: a serial monitor, or another edgekit.",
            hint=f"Close it; `fuser {where.port}` tells which process it is.",
            transient=True,
        )
    if number == errno.ENOENT:
        return DeviceError(
            f"There is no {where.port}.", hint="Is it plugged in? `edgekit devices discover` lists serial ports."
        )
    if number == errno.ECONNREFUSED or "refused" in text:
        return DeviceError(f"Nothing listens at {where.port}.", hint="Is the emulator running?", transient=True)
    return DeviceError(f"{where.port} does not open: {os.strerror(number) if number else text}.", hint="Is it a port?")
