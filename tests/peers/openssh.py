"""A real OpenSSH server for the tests: on loopback, with keys of its own, for the user who runs them."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

_START_S: Final = 20.0

ADDRESSES: Final = tuple(f"127.0.0.{number}" for number in range(1, 17))
"""The server answers at all of these, as if it were so many devices; at no more (sshd.c, MAX_LISTEN_SOCKS)."""

SERVER_CONFIG: Final = """
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
MaxSessions 100
MaxStartups 100
SetEnv HOME={folder}/home
"""
"""With a home of its own: what the user's shell reads at its start is of no matter to the tests."""

CLIENT_CONFIG: Final = """
Host 127.0.0.*
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking ask
"""


class SshServer(NamedTuple):
    """A running server: its port, the folder with its keys and both configurations, and its process."""

    port: int
    folder: Path
    pid: int

    @property
    def url(self) -> str:
        """The device's URL."""
        return self.url_at(ADDRESSES[0])

    def url_at(self, address: str, port: int = 0) -> str:
        """The URL of the device at an address, or at another port."""
        return f"ssh://{getpass.getuser()}@{address}:{port or self.port}"


def missing() -> str:
    """Why there can be no server; empty when there can."""
    installed = _sshd() and shutil.which("ssh")
    return "" if installed else "OpenSSH's server is not installed (Debian: openssh-server)"


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def server(folder: Path) -> Iterator[SshServer]:
    """A server for as long as this lasts; its files are in the folder."""
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (folder / "home").mkdir()
    listen = "".join(f"ListenAddress {address}\n" for address in ADDRESSES)
    (folder / "sshd_config").write_text(listen + SERVER_CONFIG.format(port=port, folder=folder))
    (folder / "ssh_config").write_text(CLIENT_CONFIG.format(folder=folder))
    key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.*]:* {' '.join(key)}\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd as root confines its unprivileged half
    with (folder / "log").open("wb") as log:
        argv = [str(_sshd()), "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield SshServer(port, folder, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A server for all tests."""
    if reason := missing():
        pytest.skip(reason)
    with server(tmp_path_factory.mktemp("ssh")) as running:
        yield running


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail(f"sshd did not start: {log.read_text()}")


@pytest.fixture
def ssh_device(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a device behind the server, with a folder of the test's own there."""
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(ssh_server.folder / "ssh_config"))
    return f"{ssh_server.url}?home={tmp_path / 'device'}"
