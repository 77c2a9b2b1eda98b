"""A board behind its console as a link: programs are jobs that are asked for what they said, files travel in pieces.

Several programs can run at once, as over any other link: each asks in turn.
"""

import hashlib
import os
import select
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Final

from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Progress
from edgekit.publish import whole_file
from edgekit_bridge.console.session import Console, Session
from edgekit_bridge.transports.program import heed_stop
from edgekit_bridge.transports.refusals import refusal

_SOON_S: Final = 0.02
_LATER_S: Final = 0.3
"""How often a job is asked: soon after it said something, later when it is silent."""

_FILES_S: Final = 600.0
_NOT_FOUND: Final = 127

_BESIDE: Final = 'mkdir -p -- "$(dirname -- "$1")" && mktemp "$1.XXXXXX"'

_PLACE: Final = r"""
beside=$1 place=$2 mode=$3 sum=$4
[ "$(sha256sum < "$beside" | cut -d' ' -f1)" = "$sum" ] || { echo "the bytes there are not those sent" >&2; exit 1; }
chmod "$mode" "$beside" && { sync "$beside" 2>/dev/null || sync; } && mv -f -- "$beside" "$place" &&
    { sync "$(dirname -- "$place")" 2>/dev/null || sync; }
"""
"""The file appears when all of it is there, and is what was sent (SHA-256)."""

_PROBE: Final = r"""printf '%s\n' "${HOME:-/tmp}"; command -v python3 || echo; dmesg -n 1 2>/dev/null; exit 0"""
"""Where home and Python are; and the kernel keeps its messages off the console, where it lets us say so."""


class ConsoleLink:
    """A board at a serial console."""

    def __init__(self, console: Console, name: str, options: dict[str, str]) -> None:
        self._console = console
        self._name = name
        self._numbers = count(1)
        self._left: list[str] = []
        told = self.run(["sh", "-c", _PROBE], timeout_s=60.0).stdout.decode(errors="replace")
        users, python, *_ = [*told.splitlines(), "", ""]
        self._home = PurePosixPath(options.get("home") or f"{users}/.edgekit")
        self._python = options.get("python") or python

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] | int = b"",
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a program there; it ends with the console, or a minute after nobody asks for it any more."""
        session = self._console.session()
        job = _Job(session, str(next(self._numbers)), timeout_s)
        try:
            done = job.run(argv, _pieces(stdin, session.piece_bytes), on_line)
        except TimeoutError:
            raise DeviceError(
                f"{argv[0]} did not end within {timeout_s:g} s and was stopped.",
                hint="Give it less to do, or look whether the device is overloaded.",
            ) from None
        finally:
            if not session.broken:
                with suppress(DeviceError):
                    session.call(f"ek_kill {job.number}")
        if done.returncode == _NOT_FOUND and done.stderr.endswith(b"edgekit: no such program\n"):
            raise DeviceError(f"There is no program {argv[0]!r} on {self._name}.", hint="Install it there.")
        return done

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Send it beside the place in pieces, compare SHA-256 there, then rename over it."""
        try:
            content, mode = local.read_bytes(), f"{local.stat().st_mode & 0o777:o}"
        except OSError as error:
            raise DeviceError(f"Cannot read {local}: {error.strerror or error}.") from error
        what = f"Cannot write {remote} on {self._name}"
        session = self._console.session()
        self._tidy(session)
        beside = self._checked(what, ["sh", "-c", _BESIDE, "sh", str(remote)]).decode().rstrip("\n")
        try:
            with progress.step(f"push {local.name}", len(content)) as step:
                for piece in _cut(content, session.piece_bytes):
                    session.call(f'cat "$D/d" >>{shlex.quote(beside)}', piece)
                    step.advance(len(piece))
            digest = hashlib.sha256(content).hexdigest()
            self._checked(what, ["sh", "-c", _PLACE, "sh", beside, str(remote), mode, digest])
        except BaseException:
            self._left.append(beside)
            with suppress(DeviceError):
                self._tidy(session)
            raise

    def _tidy(self, session: Session) -> None:
        """Take away what pushes left that failed; those of a line that broke, at the next one."""
        if self._left and not session.broken:
            session.call(f"rm -f {shlex.join(self._left)}")
            self._left.clear()

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """Fetch it in pieces, compare SHA-256, then rename it into its place here."""
        place = shlex.quote(str(remote))
        what = f"Cannot read {remote} on {self._name}"
        told = self._checked(what, ["sh", "-c", 'wc -c <"$1" && sha256sum <"$1"', "sh", str(remote)]).split()
        session = self._console.session()
        size, digest, content = int(told[0]), told[1].decode(), bytearray()
        with progress.step(f"pull {remote.name}", size) as step:
            while len(content) < size:
                piece = session.call(f"tail -c +{len(content) + 1} {place} | head -c {session.piece_bytes}")
                if not piece:
                    break
                content += piece
                step.advance(len(piece))
        if hashlib.sha256(content).hexdigest() != digest:
            raise DeviceError(f"{what}: it changed while it was read.", hint="Try again.", transient=True)
        with whole_file(local) as file:
            file.write_bytes(content)

    def python(self) -> str:
        """The device's `python3`, or what the URL names.

        Raises:
            DeviceError: There is none.
        """
        if not self._python:
            raise DeviceError(
                f"{self._name} has no python3, which the harness runs on.",
                hint="Install it there, or name it: serial-console:…?python=/path/to/python3",
            )
        return self._python

    def home(self) -> PurePosixPath:
        """`.edgekit` in the user's folder there, or what the URL names."""
        return self._home

    def _checked(self, what: str, argv: Sequence[str]) -> bytes:
        done = self.run(argv, timeout_s=_FILES_S)
        if done.returncode:
            raise refusal(what, done.stderr)
        return done.stdout


class _Job:
    """A program that runs there."""

    def __init__(self, session: Session, number: str, timeout_s: float) -> None:
        self.number = number
        self._session = session
        self._deadline = time.monotonic() + timeout_s
        self._out, self._err, self._rest = bytearray(), bytearray(), b""
        self._fed = False  # whether it was given something that it has not read yet

    def run(
        self, argv: Sequence[str], stdin: "Iterator[bytes | None] | None", on_line: Callable[[bytes], None] | None
    ) -> Completed:
        """Until it ends.

        Raises:
            TimeoutError: It did not in time.
        """
        self._session.call(f"ek_start {self.number} {'fed' if stdin else '-'} {shlex.join(argv)}")
        pause_s = _SOON_S
        while time.monotonic() < self._deadline:
            if stdin and not self._fed:
                stdin = self._feed(stdin)
            code, new = self._poll(on_line)
            if code is not None and not new:
                if on_line and self._rest:
                    on_line(self._rest)
                return Completed(returncode=code, stdout=bytes(self._out), stderr=bytes(self._err))
            if new or self._fed:
                pause_s = _SOON_S
            else:
                pause_s = min(_LATER_S, pause_s * 1.5)
                time.sleep(pause_s)
            if threading.current_thread() is not threading.main_thread():
                heed_stop()
        raise TimeoutError

    def _feed(self, stdin: "Iterator[bytes | None]") -> "Iterator[bytes | None] | None":
        """Give it the next piece; none left: None, and it sees the end of its input."""
        piece = next(stdin, b"")
        if piece:
            self._session.call(f"ek_feed {self.number}", piece)
            self._fed = True
        elif piece is not None:
            self._session.call(f"ek_end {self.number}")
            return None
        return stdin

    def _poll(self, on_line: Callable[[bytes], None] | None) -> tuple[int | None, bool]:
        """Its exit code when it has ended, and whether it said something."""
        limit = self._session.piece_bytes
        told = self._session.call(f"ek_poll {self.number} {len(self._out)} {len(self._err)} {limit}")
        head, _, content = told.partition(b"\n")
        code, fed, out, _ = head.split()
        out_bytes = int(out)
        self._out += content[:out_bytes]
        self._err += content[out_bytes:]
        if on_line:
            *lines, self._rest = (self._rest + content[:out_bytes]).split(b"\n")
            for line in lines:
                on_line(line)
        self._fed = self._fed and fed == b"-"
        return None if code == b"-" else int(code), bool(content)


def _cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def _pieces(stdin: bytes | Iterable[bytes] | int, size: int) -> "Iterator[bytes | None] | None":
    """What a program reads, in pieces; None in place of one that is not there yet; no pieces at all for no input."""
    if isinstance(stdin, int):
        return _from_descriptor(stdin, size)
    if isinstance(stdin, bytes):
        return _cut(stdin, size) if stdin else None
    return (piece for whole in stdin for piece in _cut(whole, size))


def _from_descriptor(descriptor: int, size: int) -> "Iterator[bytes | None]":
    while True:
        if not select.select([descriptor], [], [], _LATER_S)[0]:
            yield None
        elif chunk := os.read(descriptor, size):
            yield chunk
        else:
            return
