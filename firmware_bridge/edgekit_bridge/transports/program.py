"""Run a program on this machine: both outputs kept, lines told as they come, a time limit that ends all of it.

Every transport that starts a client (`ssh`, `adb`) runs it this way too.
"""

import fcntl
import math
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Final

from edgekit.errors import DeviceError
from edgekit.fleet import STOP
from edgekit.protocols import Completed

_CHUNK_BYTES: Final = 1 << 20

_PIPE_BYTES: Final = 1 << 20
"""What a program's input holds ready for it: the most that Linux gives to anybody (pipe(7)); 64 KiB are 10 % slower."""

SILENCE_S: Final = 15.0
"""After so long without a byte one asks whether the other end is still there."""

_LOOK_S: Final = 0.25
"""How often a thread looks whether it is to stop."""

_THREAD: Final = threading.local()

OnLine = Callable[[bytes], None]


def run_program(
    argv: Sequence[str],
    *,
    stdin: bytes | Iterable[bytes] | int,
    timeout_s: float,
    on_line: OnLine | None,
    hold_stdin: bool = False,
    on_silence: Callable[[], None] | None = None,
) -> Completed:
    """Run a program in a session of its own; it and its children are gone when this returns or raises.

    Args:
        argv: The program and its arguments; no shell is involved.
        stdin: What it reads, whole or in pieces that are asked for as it reads; or a descriptor that it reads from.
        timeout_s: The longest it may take.
        on_line: Given each line of standard output, without its end, as it comes.
        hold_stdin: Keep its input open until it ends: it knows how much there is, and takes its end for ours.
        on_silence: Called when for `SILENCE_S` nothing was written or read; what it raises ends the program.

    Raises:
        DeviceError: It could not be started, or ran past `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    process = _start(argv, stdin if isinstance(stdin, int) else subprocess.PIPE)
    try:
        pieces = iter([stdin] if isinstance(stdin, bytes) else () if isinstance(stdin, int) else stdin)
        stdout, stderr = _pump(process, pieces, _Patience(deadline, on_silence), on_line, hold_stdin=hold_stdin)
        returncode = process.wait(max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise DeviceError(
            f"{argv[0]} did not end within {timeout_s:g} s and was stopped.",
            hint="Give it less to do, or look whether the device is overloaded.",
        ) from None
    finally:
        _end(process)
    return Completed(returncode=returncode, stdout=stdout, stderr=stderr)


def _start(argv: Sequence[str], stdin: int) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(list(argv), stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True)
    except FileNotFoundError:
        raise DeviceError(f"There is no program {argv[0]!r}.", hint="Install it, or put it on PATH.") from None
    except (OSError, ValueError) as error:
        raise DeviceError(f"Cannot start {argv[0]!r}: {error}.") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session, and let go of its pipes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _pump(
    process: subprocess.Popen[bytes],
    pieces: Iterator[bytes],
    patience: "_Patience",
    on_line: OnLine | None,
    *,
    hold_stdin: bool,
) -> tuple[bytes, bytes]:
    """Feed and read the three pipes side by side, so that none of them can block another."""
    assert process.stdout is not None  # noqa: S101 - for the type checker: these two are pipes
    assert process.stderr is not None  # noqa: S101
    kept: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    lines = _Lines(on_line)
    feed = _Feed(process.stdin, pieces, hold=hold_stdin) if process.stdin is not None else None
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        if feed:
            selector.register(feed.pipe, selectors.EVENT_WRITE)
        while selector.get_map():
            for key, _ in patience.ready(selector):
                if feed and key.fileobj is feed.pipe:
                    if not feed.go_on():
                        selector.unregister(feed.pipe)
                        feed.end()
                    continue
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    lines.take(chunk)
                kept[key.fileobj] += chunk  # type: ignore[index]  # the two streams that were registered for reading
    lines.end()
    return bytes(kept[process.stdout]), bytes(kept[process.stderr])


class _Feed:
    """A program's input: pieces, each asked for when the one before is written."""

    def __init__(self, pipe: IO[bytes], pieces: Iterator[bytes], *, hold: bool) -> None:
        self.pipe = pipe
        self._pieces = pieces
        self._hold = hold
        self._unsent = memoryview(next(pieces, b""))
        os.set_blocking(pipe.fileno(), False)
        with suppress(OSError, AttributeError):  # a hint, and Linux's alone
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def go_on(self) -> bool:
        """Write what the pipe takes; whether there is more, and somebody who reads it."""
        try:
            self._unsent = self._unsent[os.write(self.pipe.fileno(), self._unsent[:_CHUNK_BYTES]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        if not self._unsent:
            self._unsent = memoryview(next(self._pieces, b""))
        return bool(self._unsent)

    def end(self) -> None:
        """Let the program see the end, unless it is not to."""
        if not self._hold:
            with suppress(BrokenPipeError):
                self.pipe.close()


class _Patience:
    """How long one waits for a program: until a deadline; and what is done when it is silent."""

    def __init__(self, deadline: float, on_silence: Callable[[], None] | None) -> None:
        self._deadline = deadline
        self._on_silence = on_silence
        self._heard = time.monotonic()

    def ready(self, selector: selectors.BaseSelector) -> list[tuple[selectors.SelectorKey, int]]:
        """What can be read or written; Ctrl-C wakes only the main thread, others look for it now and then."""
        main = threading.current_thread() is threading.main_thread()
        look = (SILENCE_S if self._on_silence else math.inf) if main else _LOOK_S
        while (left := self._deadline - time.monotonic()) > 0:
            events = selector.select(min(left, look))
            if events:
                self._heard = time.monotonic()
                return events
            if not main:
                heed_stop()
            if self._on_silence and time.monotonic() - self._heard >= SILENCE_S:
                self._on_silence()
                self._heard = time.monotonic()
        raise TimeoutError


def heed_stop() -> None:
    """Stop what a thread of a fleet does; once, so that it can clean up. A daemon holds a lock, and is let go of."""
    if STOP.is_set() and not threading.current_thread().daemon and not getattr(_THREAD, "stopped", False):
        _THREAD.stopped = True
        raise KeyboardInterrupt


class _Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self, on_line: OnLine | None) -> None:
        self._on_line = on_line
        self._rest = b""

    def take(self, chunk: bytes) -> None:
        if self._on_line is None:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._on_line(line)

    def end(self) -> None:
        if self._on_line is not None and self._rest:
            self._on_line(self._rest)
