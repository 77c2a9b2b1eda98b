"""`ssh://user@host:port`: a Linux device, over the system's OpenSSH client.

The user's configuration, agent, jump hosts and known hosts apply; host keys are always checked, and nobody is asked for
a password. One connection is made and shared by everything that follows (ControlMaster, ssh_config(5)).

URL options: `python=/path/to/python3`, `home=/folder/of/edgekit`, `config=/path/to/ssh_config`; without the last one
`EDGEKIT_SSH_CONFIG` may name another ssh_config than the user's.
"""

import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Link, Transport
from edgekit_bridge.transports.program import run_program
from edgekit_bridge.transports.refusals import Fault, explained
from edgekit_bridge.transports.shell_link import open_link

CONFIG: Final = "EDGEKIT_SSH_CONFIG"

_FAILED: Final = 255
"""What ssh exits with when it fails itself (ssh(1), EXIT STATUS); a program there may exit with it too."""

_LINGER_S: Final = 60
"""How long the shared connection outlives an edgekit that was killed."""

_ALIVE_S: Final = 5
"""Seconds between signs of life; three missed ones end a connection to a device that hangs."""


_FAULTS: Final[Sequence[Fault]] = (
    Fault(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{url} shows another host key than the last time.",
        "If the device was set up anew, forget the old key: ssh-keygen -R '{known}'. If not, somebody may listen in.",
        False,
    ),
    Fault(
        "Host key verification failed|No .* host key is known",
        "The host key of {url} is not known yet.",
        "Log in once to see and accept it: {login}",
        False,
    ),
    Fault(
        "Permission denied|Too many authentication failures|no mutual signature",
        "{url} did not let us in.",
        "Install your key there: ssh-copy-id {address}; then try: {login}",
        False,
    ),
    Fault(
        "Connection refused", "Nothing answers at {url}.", "Is sshd running there, and the port right? {login}", True
    ),
    Fault(
        "Could not resolve hostname|Name or service not known",
        "There is no host {host}.",
        "Look at its name, or use its address.",
        False,
    ),
    Fault(
        "timed out|No route to host|Network is unreachable|Host is down",
        "{url} cannot be reached.",
        "Is it on, and in this network? {login}",
        True,
    ),
    Fault(
        "closed by|reset by|Broken pipe|not responding|kex_exchange|mux_client|Control socket|broken",
        "The connection to {url} broke.",
        "Try again; when it stays so, look whether the device restarts or its network drops.",
        True,
    ),
)
"""What OpenSSH says, by its own words (ssh.c, sshconnect.c), what it means, and what to do."""


class _Client:
    """The `ssh` command line for a device, its connection shared through a socket in a private folder."""

    python_hint = "Install it there (Debian: apt install python3), or name it: ssh://…?python=/path/to/python3"

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
        if known := explained(words, _FAULTS, names):
            return known
        last = (words.strip().splitlines() or ["it said nothing"])[-1]
        return DeviceError(f"ssh could not reach {url}: {last}", hint=f"Try by hand: {names['login']}")


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
                yield open_link(client, home="")
            finally:
                with suppress(DeviceError):
                    client.control("exit")


TRANSPORT: Transport = _SshTransport()
"""Found by `edgekit.catalog`."""
