"""`ssh://user@host:port`: a Linux device, over the system's OpenSSH client.

The user's configuration, agent, jump hosts and known hosts apply; host keys are always checked, and nobody is asked for
a password. One connection is made and shared by everything that follows (ControlMaster, ssh_config(5)).

URL options: `python=/path/to/python3` and `home=/folder/of/edgekit`. `EDGEKIT_SSH_CONFIG` names another ssh_config.
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
trap : TERM
size=$1; shift
command -v -- "$1" >/dev/null 2>&1 || { echo "edgekit: no such program" >&2; exit 127; }
exec 3<&0
{ trap 'exit 0' TERM; head -c "$size" <&3; exec >&-; cat <&3 >/dev/null; kill -KILL 0; } 2>/dev/null |
    { "$@" 3<&-; result=$?; trap '' TERM; kill -TERM 0; exit $result; }
"""
"""Runs a program there. It reads `size` bytes; the client holds its end open until the program has ended.

When the connection ends before that, whatever was started is killed: sshd makes each command a process group's leader.
When the program ends first, it is the watch on the connection that goes; it exits by itself, or a shell would tell.
"""

_PUSH: Final = r"""
place=$1 size=$2 mode=$3
mkdir -p -- "$(dirname -- "$place")" && beside=$(mktemp "$place.XXXXXX") || exit 1
trap 'rm -f -- "$beside"' EXIT
cat > "$beside" && [ "$(wc -c < "$beside")" -eq "$size" ] || exit 1
chmod "$mode" "$beside" && { sync "$beside" 2>/dev/null || sync; } && mv -f -- "$beside" "$place"
"""
"""Writes beside the place, and renames over it when all bytes are there."""

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

_FILE_HINTS: Final = {
    "No space left": "Free some space on the device, or name another folder: ssh://…?home=/media/disk/edgekit",
    "Read-only file system": "Name a folder there that can be written: ssh://…?home=/tmp/edgekit",
    "Permission denied": "Name a folder there that you may write to: ssh://…?home=/tmp/edgekit",
    "Disk quota exceeded": "Free some space on the device, or name another folder: ssh://…?home=/media/disk/edgekit",
}
"""The next step for what a file system there can refuse."""


class _Client:
    """The `ssh` command line for a device, its connection shared through a socket in a private folder."""

    def __init__(self, url: DeviceUrl, folder: Path, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._reached = False
        config = os.environ.get(CONFIG)
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

    def script(
        self,
        script: str,
        arguments: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a POSIX shell script there.

        Raises:
            DeviceError: The connection could not be made, or broke.
        """
        command = shlex.join(["exec", "sh", "-c", script, "sh", *arguments])
        argv = [*self._words, *self._address, command]
        done = run_program(argv, stdin=stdin, timeout_s=timeout_s, on_line=on_line, hold_stdin=True)
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
        stdin: bytes = b"",
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a program there; it ends with the connection."""
        done = self._client.script(_RUN, [str(len(stdin)), *argv], stdin=[stdin], timeout_s=timeout_s, on_line=on_line)
        if done.returncode == 127 and done.stderr.endswith(_NO_PROGRAM):  # noqa: PLR2004 - the shell's "not found"
            raise DeviceError(f"There is no program {argv[0]!r} on {self._client.url}.", hint="Install it there.")
        return done

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Stream it beside the place, then rename over it."""
        try:
            size, mode = local.stat().st_size, f"{local.stat().st_mode & 0o777:o}"
            with local.open("rb") as stream, progress.step(f"push {local.name}", size) as step:
                arguments = [str(size), "sh", "-c", _PUSH, "sh", str(remote), str(size), mode]
                done = self._client.script(
                    _RUN, arguments, stdin=_chunks(stream.read, step.advance), timeout_s=_transfer_s(size)
                )
        except OSError as error:
            raise DeviceError(f"Cannot read {local}: {error.strerror or error}.") from error
        self._check(done, f"Cannot write {remote}")

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """Read it whole, then rename it into its place here."""
        with progress.step(f"pull {remote.name}"):
            done = self._client.script(_RUN, ["0", "cat", "--", str(remote)], timeout_s=_transfer_s(0))
        self._check(done, f"Cannot read {remote}")
        with whole_file(local) as file:
            file.write_bytes(done.stdout)

    def _check(self, done: Completed, what: str) -> None:
        if done.returncode == 0:
            return
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["the device did not say why"]
        hint = next((hint for said, hint in _FILE_HINTS.items() if said in words[-1]), "")
        raise DeviceError(f"{what} on {self._client.url}: {words[-1]}", hint=hint)

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
    done = client.script(_PROBE, [], timeout_s=client.timeout_s + 10)
    home, python, *_ = [*done.stdout.decode(errors="replace").splitlines(), "", ""]
    options = client.url.options
    return _SshLink(client, PurePosixPath(options.get("home") or f"{home}/.edgekit"), options.get("python") or python)


TRANSPORT: Transport = _SshTransport()
"""Found by `edgekit.catalog`."""
