"""A link to any device that runs shell scripts, whatever carries them there: `ssh` and `adb` are two such clients."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Link, Progress
from edgekit.publish import whole_file
from edgekit_bridge.transports.refusals import refusal

_CHUNK_BYTES: Final = 1 << 20

_NO_PROGRAM: Final = b"edgekit: no such program\n"

_RUN: Final = r"""
size=$1; shift
command -v -- "$1" >/dev/null 2>&1 || { echo "edgekit: no such program" >&2; exit 127; }
exec 3<&0 4>&1
{
    { head -c "$size" <&3 2>/dev/null; echo fed >&5; } | "$@" >&4 3<&- 4>&- 5>&-
    echo "ended $?" >&5
} 5>&1 | {
    read -r _
    { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 4>&- &
    watch=$!
    read -r _ result
    { kill -KILL "$watch"; wait "$watch"; } 2>/dev/null
    exit "${result:-137}"
}
"""
"""Runs a program there. It reads `size` bytes; the client holds its end open until the program has ended.

When the connection ends before that, whatever was started is killed: sshd and adbd make each command a process group's
leader. The watch on the connection begins when the program has been fed, since both read from it, and is one process
that no signal misses: the server waits for whoever holds the connection. That the program ended, or whoever waited for
it was killed, is seen by the end of a pipe.
"""

_STREAM: Final = r"""
command -v -- "$1" >/dev/null 2>&1 || { echo "edgekit: no such program" >&2; exit 127; }
exec "$@"
"""
"""Runs a program that reads to the end of its input: the connection's end is that, too."""

_PUSH: Final = r"""
place=$1 size=$2 mode=$3 folder=$(dirname -- "$1")
mkdir -p -- "$folder" && beside=$(mktemp "$place.XXXXXX") || exit 1
trap 'rm -f -- "$beside"' EXIT
cat > "$beside" && [ "$(wc -c < "$beside")" -eq "$size" ] || exit 1
chmod "$mode" "$beside" && { sync "$beside" 2>/dev/null || sync; } && mv -f -- "$beside" "$place" &&
    { sync "$folder" 2>/dev/null || sync; }
"""
"""Writes beside the place, and renames over it when all bytes are there; a power cut takes neither back (fsync(2))."""

_PROBE: Final = r"""printf '%s\n' "${HOME:-/tmp}"; command -v python3 || echo"""


class ShellClient(Protocol):
    """Carries scripts to one device."""

    url: DeviceUrl
    timeout_s: float
    python_hint: str

    def run(
        self,
        words: Sequence[str],
        *,
        stdin: Iterable[bytes] | int = (),
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
        hold_stdin: bool = False,
    ) -> Completed:
        """Run a POSIX shell script there: the script, its name and its arguments. See `Link.run` for the rest.

        Args:
            words: The script, its name and its arguments.
            stdin: What it reads: pieces, or a descriptor.
            timeout_s: The longest it may take.
            on_line: Given each line of standard output as it comes.
            hold_stdin: Keep its input open until it ends.

        Raises:
            DeviceError: The connection could not be made, or broke.
        """


class ShellLink:
    """A device that runs POSIX shell scripts: programs, files, edgekit's folder and Python there."""

    def __init__(self, client: ShellClient, home: PurePosixPath, python: str) -> None:
        self._client = client
        self._home = home
        self._python = python

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] | int = b"",
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a program there; it ends with the connection."""
        if isinstance(stdin, bytes):
            words = [_RUN, "sh", str(len(stdin)), *argv]
            done = self._client.run(words, stdin=[stdin], timeout_s=timeout_s, on_line=on_line, hold_stdin=True)
        else:
            done = self._client.run([_STREAM, "sh", *argv], stdin=stdin, timeout_s=timeout_s, on_line=on_line)
        if done.returncode == 127 and done.stderr.endswith(_NO_PROGRAM):  # noqa: PLR2004 - the shell's "not found"
            raise DeviceError(f"There is no program {argv[0]!r} on {self._client.url}.", hint="Install it there.")
        return done

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Stream it beside the place, then rename over it."""
        try:
            size, mode = local.stat().st_size, f"{local.stat().st_mode & 0o777:o}"
            with local.open("rb") as stream, progress.step(f"push {local.name}", size) as step:
                done = self._client.run(
                    [_PUSH, "sh", str(remote), str(size), mode],
                    stdin=_chunks(stream.read, step.advance),
                    timeout_s=_transfer_s(size),
                )
        except OSError as error:
            raise DeviceError(f"Cannot read {local}: {error.strerror or error}.") from error
        if done.returncode:
            raise refusal(f"Cannot write {remote} on {self._client.url}", done.stderr)

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """Read it whole, then rename it into its place here."""
        with progress.step(f"pull {remote.name}"):
            done = self._client.run([_STREAM, "sh", "cat", "--", str(remote)], timeout_s=_transfer_s(0))
        if done.returncode:
            raise refusal(f"Cannot read {remote} on {self._client.url}", done.stderr)
        with whole_file(local) as file:
            file.write_bytes(done.stdout)

    def python(self) -> str:
        """The device's `python3`, or what the URL names.

        Raises:
            DeviceError: There is none.
        """
        if not self._python:
            raise DeviceError(
                f"{self._client.url} has no python3, which the harness runs on.",
                hint=self._client.python_hint,
            )
        return self._python

    def home(self) -> PurePosixPath:
        """`.edgekit` in the user's folder there, or what the URL names."""
        return self._home


def _chunks(read: Callable[[int], bytes], advance: Callable[[float], None]) -> Iterator[bytes]:
    while chunk := read(_CHUNK_BYTES):
        yield chunk
        advance(len(chunk))


def _transfer_s(size: int) -> float:
    """The longest a transfer may take: 100 kB/s is a bad radio link."""
    return 600.0 + size / 1e5


def open_link(client: ShellClient, *, home: str) -> Link:
    """Look where home and Python are.

    Args:
        client: The way there.
        home: Where edgekit's folder is, when the URL does not say; `.edgekit` in the user's folder when empty.

    Raises:
        DeviceError: The device cannot be reached.
    """
    done = client.run([_PROBE, "sh"], timeout_s=client.timeout_s + 10)
    users, python, *_ = [*done.stdout.decode(errors="replace").splitlines(), "", ""]
    options = client.url.options
    place = options.get("home") or home or f"{users}/.edgekit"
    return ShellLink(client, PurePosixPath(place), options.get("python") or python)
