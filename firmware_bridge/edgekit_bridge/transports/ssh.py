"""`ssh://user@host:port`: a Linux device, over the system's OpenSSH client.

The user's configuration, agent, jump hosts and known hosts apply; host keys are always checked, and nobody is asked for
a password. One connection is made and shared by everything that follows (ControlMaster, ssh_config(5)).

URL options: `python=/path/to/python3`, `home=/folder/of/edgekit`, `config=/path/to/ssh_config`; without the last one
`EDGEKIT_SSH_CONFIG` may name another ssh_config than the user's.
"""

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Link, Progress, Transport
from edgekit.publish import whole_file
from edgekit_bridge.transports.program import run_program
from edgekit_bridge.transports.refusals import refusal

CONFIG: Final = "EDGEKIT_SSH_CONFIG"

_FAILED: Final = 255
"""What ssh exits with when it fails itself (ssh(1), EXIT STATUS); a program there may exit with it too."""

_LINGER_S: Final = 60
"""How long the shared connection outlives an edgekit that was killed."""

_ALIVE_S: Final = 5
"""Seconds between signs of life; three missed ones end a connection to a device that hangs."""

_CHUNK_BYTES: Final = 1 << 20

_NO_PROGRAM: Final = b"edgekit: no such program\n"

_RUN: Final = r"""
size=$1; shift
command -v -- "$1" >/dev/null 2>&1 || { echo "edgekit: no such program" >&2; exit 127; }
trap : TERM
exec 3<&0
{ trap 'exit 0' TERM; head -c "$size" <&3; exec >&-; cat <&3 >/dev/null; kill -KILL 0; } 2>/dev/null |
    {
        "$@" 3<&-
        result=$?
        trap '' TERM
        kill -TERM 0
        while kill -0 $$; do kill -TERM 0; sleep 0.05 || sleep 1; done <&- >/dev/null 2>&1 &
        exit $result
    }
"""
"""Runs a program there. It reads `size` bytes; the client holds its end open until the program has ended.

When the connection ends before that, whatever was started is killed: sshd makes each command a process group's leader.
When the program ends first, it is the watch on the connection that goes; it exits by itself, or a shell would tell.
A shell that is just forking or setting its trap loses a signal (1 of 15 that end at once, in dash): so it is told until
it is gone.
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


class _Fault(NamedTuple):
    pattern: str
    cause: str
    hint: str
    transient: bool


_FAULTS: Final[Sequence[_Fault]] = (
    _Fault(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{url} shows another host key than the last time.",
        "If the device was set up anew, forget the old key: ssh-keygen -R '{known}'. If not, somebody may listen in.",
        False,
    ),
    _Fault(
        "Host key verification failed|No .* host key is known",
        "The host key of {url} is not known yet.",
        "Log in once to see and accept it: {login}",
        False,
    ),
    _Fault(
        "Permission denied|Too many authentication failures|no mutual signature",
        "{url} did not let us in.",
        "Install your key there: ssh-copy-id {address}; then try: {login}",
        False,
    ),
    _Fault(
        "Connection refused", "Nothing answers at {url}.", "Is sshd running there, and the port right? {login}", True
    ),
    _Fault(
        "Could not resolve hostname|Name or service not known",
        "There is no host {host}.",
        "Look at its name, or use its address.",
        False,
    ),
    _Fault(
        "timed out|No route to host|Network is unreachable|Host is down",
        "{url} cannot be reached.",
        "Is it on, and in this network? {login}",
        True,
    ),
    _Fault(
        "closed by|reset by|Broken pipe|not responding|kex_exchange|mux_client|Control socket|broken",
        "The connection to {url} broke.",
        "Try again; when it stays so, look whether the device restarts or its network drops.",
        True,
    ),
)
"""What OpenSSH says, by its own words (ssh.c, sshconnect.c), what it means, and what to do."""


class _Client:
    """The `ssh` command line for a device, its connection shared through a socket in a private folder."""

    def __init__(self, url: DeviceUrl, folder: Path, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._reached = False
        config = url.options.get("config") or os.environ.get(CONFIG)
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": str(max(1, round(timeout_s))),
            "ControlMaster": "auto",
            "ControlPath": str(folder / "socket"),
            "ControlPersist": str(_LINGER_S),
            "ServerAliveInterval": str(_ALIVE_S),
        }
        self._words = ["ssh", *(["-F", config] if config else []), "-T"]
        self._words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self._address = [*(["-p", str(url.port)] if url.port else []), *(["-l", url.user] if url.user else [])]
        self._address += ["--", url.host]

    def control(self, command: str) -> bool:
        """Ask the shared connection for something; whether it is there."""
        argv = [*self._words, "-O", command, *self._address]
        return run_program(argv, stdin=b"", timeout_s=self.timeout_s, on_line=None).returncode == 0

    def run(
        self,
        words: Sequence[str],
        *,
        stdin: Iterable[bytes] | int = (),
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
        hold_stdin: bool = False,
    ) -> Completed:
        """Run a POSIX shell script there: the script, its name and its arguments.

        Raises:
            DeviceError: The connection could not be made, or broke.
        """
        argv = [*self._words, *self._address, shlex.join(["exec", "sh", "-c", *words])]
        done = run_program(argv, stdin=stdin, timeout_s=timeout_s, on_line=on_line, hold_stdin=hold_stdin)
        if done.returncode == _FAILED and not self.control("check"):
            # Who shares a connection hears nothing of why it ended; what is on standard error is the program's.
            raise self._fault("broken" if self._reached else done.stderr.decode(errors="replace"))
        self._reached = True
        return done

    def _fault(self, words: str) -> DeviceError:
        url = self.url
        address = f"{url.user}@{url.host}" if url.user else url.host
        port = f" -p {url.port}" if url.port else ""
        names = {
            "url": str(url),
            "host": url.host,
            "address": f"{address}{port}",
            "login": f"ssh {address}{port}",
            "known": f"[{url.host}]:{url.port}" if url.port else url.host,
        }
        for fault in _FAULTS:
            if re.search(fault.pattern, words):
                return DeviceError(
                    fault.cause.format(**names), hint=fault.hint.format(**names), transient=fault.transient
                )
        last = (words.strip().splitlines() or ["it said nothing"])[-1]
        return DeviceError(f"ssh could not reach {url}: {last}", hint=f"Try by hand: {names['login']}")


class _SshLink:
    def __init__(self, client: _Client, home: PurePosixPath, python: str) -> None:
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
                hint="Install it there (Debian: apt install python3), or name it: ssh://…?python=/path/to/python3",
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


class _SshTransport:
    scheme = "ssh"

    @contextmanager
    def open(self, url: DeviceUrl, *, timeout_s: float) -> Iterator[Link]:
        """Connect, and look where home and Python are.

        Raises:
            DeviceError: The device cannot be reached, does not let us in, or is not who it was.
        """
        if not url.host:
            raise DeviceError(f"{url} names no host.", hint="Write ssh://user@host or ssh://user@host:port.")
        with tempfile.TemporaryDirectory(prefix="edgekit-ssh-") as folder:
            client = _Client(url, Path(folder), timeout_s)
            try:
                yield _link(client)
            finally:
                with suppress(DeviceError):
                    client.control("exit")


def _link(client: _Client) -> Link:
    done = client.run([_PROBE, "sh"], timeout_s=client.timeout_s + 10)
    home, python, *_ = [*done.stdout.decode(errors="replace").splitlines(), "", ""]
    options = client.url.options
    return _SshLink(client, PurePosixPath(options.get("home") or f"{home}/.edgekit"), options.get("python") or python)


TRANSPORT: Transport = _SshTransport()
"""Found by `edgekit.catalog`."""
