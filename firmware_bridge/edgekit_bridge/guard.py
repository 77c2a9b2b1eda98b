"""A lock on a device, so that two people do not measure on one board at once.

The lock is the kernel's, on the file `HOME/lock` (flock(2)). A small process there holds it for us and sleeps until
we say that it is over, or its input ends with our connection. Whatever ends it ends the lock: none is ever stale.
"""

import getpass
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from edgekit.errors import DeviceError
from edgekit.protocols import Guard, Link, Progress
from edgekit_bridge.transports.refusals import refusal

_POLL_S: Final = 2.0
"""How often one looks whether a device is free."""

_HELD_S: Final = 7 * 24 * 3600.0
"""The longest that a device is held."""

_CALL_S: Final = 60.0

_BUSY: Final = 4
"""What the script exits with when somebody else holds the device."""

_HOLD: Final = r"""
[ -d "$1" ] || mkdir -p "$1" || exit 1
exec 9>>"$1/lock" || exit 1
flock -n 9 2>/dev/null
if [ $? -eq 1 ]; then
    echo "busy $(cat "$1/lock")"
    exit 4
fi
printf '%s\n' "$2" >"$1/lock"
echo held
read -r _
exit 0
"""
"""Takes the lock or says who has it; then waits for a line, or the end of its input, which costs the device nothing.

flock(1) is in util-linux and toybox; on a device without it, or a file system that knows no locks, there is none.
"""


class _Holder:
    """The process that holds the lock, run by a thread of ours."""

    def __init__(self, link: Link, owner: str) -> None:
        self._link = link
        self._owner = owner
        self._told = threading.Event()
        self._first = b""
        self._error: DeviceError | None = None
        self._theirs, self._ours = os.pipe()
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def take(self) -> str:
        """Try once; empty when it is ours, else who has it.

        Raises:
            DeviceError: The device refused it.
        """
        self._thread.start()
        if not self._told.wait(_CALL_S):
            raise DeviceError("The device did not say whether it is free.", hint="Try again.", transient=True)
        if self._error:
            raise self._error
        return (
            "" if self._first == b"held" else self._first.decode(errors="replace").removeprefix("busy ") or "somebody"
        )

    def let_go(self) -> None:
        """Tell the process that it is over; it takes the lock away as it ends.

        A word, and not the end of its input alone: a process that was forked meanwhile may hold a copy of our end.
        """
        with suppress(BrokenPipeError):
            os.write(self._ours, b"\n")
        os.close(self._ours)
        self._thread.join(_CALL_S)

    def _hear(self, line: bytes) -> None:
        if line == b"held" or line.startswith(b"busy "):
            self._first = line
            self._told.set()

    def _hold(self) -> None:
        argv = ["sh", "-c", _HOLD, "sh", str(self._link.home()), self._owner]
        try:
            done = self._link.run(argv, stdin=self._theirs, timeout_s=_HELD_S, on_line=self._hear)
            if done.returncode not in {0, _BUSY}:
                self._error = refusal("The device cannot be held", done.stderr)
        except DeviceError as error:
            self._error = error
        finally:
            os.close(self._theirs)
            self._told.set()


class _Guard:
    @contextmanager
    def hold(self, link: Link, purpose: str, *, wait_s: float, progress: Progress) -> Iterator[None]:
        """Have the device for oneself inside; waits until it is free.

        Raises:
            DeviceError: Somebody else holds it for longer than `wait_s`, or it cannot be locked.
        """
        holder = _taken(link, purpose, wait_s, progress)
        try:
            yield
        finally:
            holder.let_go()


def _taken(link: Link, purpose: str, wait_s: float, progress: Progress) -> _Holder:
    owner = f"{getpass.getuser()}@{socket.gethostname()}, {purpose}, since {time.strftime('%H:%M:%S')}"
    deadline = time.monotonic() + wait_s
    holder, other = _try(link, owner)
    if other:
        with progress.step(f"wait for the device, held by {other}"):
            while other and time.monotonic() < deadline:
                time.sleep(_POLL_S)
                holder, other = _try(link, owner)
    if other:
        raise DeviceError(
            f"The device is held by {other}.", hint="Try again later, or ask them to stop.", transient=True
        )
    return holder


def _try(link: Link, owner: str) -> tuple[_Holder, str]:
    """A holder, and who has the device in its place; empty when it is ours."""
    holder = _Holder(link, owner)
    other = holder.take()
    if other:
        holder.let_go()
    return holder, other


GUARD: Guard = _Guard()
"""Found by `edgekit.catalog`."""
