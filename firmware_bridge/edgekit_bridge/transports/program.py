"""Run a program on this machine: both outputs kept, lines told as they come, a time limit that ends all of it.

Every transport that starts a client (`ssh`, `adb`) runs it this way too.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Final

from edgekit.errors import DeviceError
from edgekit.protocols import Completed

_CHUNK_BYTES: Final = 1 << 16

OnLine = Callable[[bytes], None]


def run_program(
    argv: Sequence[str],
    *,
    stdin: bytes | Iterable[bytes],
    timeout_s: float,
    on_line: OnLine | None,
    hold_stdin: bool = False,
) -> Completed:
    """Run a program in a session of its own; it and its children are gone when this returns or raises.

    Args:
        argv: The program and its arguments; no shell is involved.
        stdin: What it reads, whole or in pieces that are asked for as it reads.
        timeout_s: The longest it may take.
        on_line: Given each line of standard output, without its end, as it comes.
        hold_stdin: Keep its input open until it ends: it knows how much there is, and takes its end for ours.

    Raises:
        DeviceError: It could not be started, or ran past `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    process = _start(argv)
    try:
        pieces = iter([stdin] if isinstance(stdin, bytes) else stdin)
        stdout, stderr = _pump(process, pieces, deadline, on_line, hold_stdin=hold_stdin)
        returncode = process.wait(max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise DeviceError(
            f"{argv[0]} did not end within {timeout_s:g} s and was stopped.",
            hint="Give it less to do, or look whether the device is overloaded.",
        ) from None
    finally:
        _end(process)
    return Completed(returncode=returncode, stdout=stdout, stderr=stderr)


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(list(argv), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
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
    deadline: float,
    on_line: OnLine | None,
    *,
    hold_stdin: bool,
) -> tuple[bytes, bytes]:
    """Feed and read the three pipes side by side, so that none of them can block another."""
    assert process.stdin is not None  # noqa: S101 - for the type checker: all three are pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    kept: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    lines = _Lines(on_line)
    unsent = memoryview(next(pieces, b""))
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        while selector.get_map():
            for key, _ in _ready(selector, deadline):
                if key.fileobj is process.stdin:
                    unsent, heard = _feed(process.stdin, unsent)
                    if heard and not unsent:
                        unsent = memoryview(next(pieces, b""))
                    if not unsent:
                        selector.unregister(process.stdin)
                        if not hold_stdin:
                            with suppress(BrokenPipeError):
                                process.stdin.close()
                    continue
                chunk = os.read(key.fd, _CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    lines.take(chunk)
                kept[key.fileobj] += chunk  # type: ignore[index]  # the two streams that were registered for reading
    lines.end()
    return bytes(kept[process.stdout]), bytes(kept[process.stderr])


def _ready(selector: selectors.BaseSelector, deadline: float) -> list[tuple[selectors.SelectorKey, int]]:
    left = deadline - time.monotonic()
    events = selector.select(left) if left > 0 else []
    if not events:
        raise TimeoutError
    return events


def _feed(pipe: IO[bytes], unsent: memoryview) -> tuple[memoryview, bool]:
    """Write what the pipe takes; what is left to send, and whether anybody still reads."""
    try:
        return unsent[os.write(pipe.fileno(), unsent[:_CHUNK_BYTES]) :] if unsent else unsent, True
    except BlockingIOError:
        return unsent, True
    except BrokenPipeError:
        return unsent[:0], False


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
