"""A real OpenSSH server for the tests: on loopback, with keys of its own, for the user who runs them."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

_START_S: Final = 20.0

SERVER_CONFIG: Final = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
MaxSessions 100
"""

CLIENT_CONFIG: Final = """
Host 127.0.0.1
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking ask
"""


class SshServer(NamedTuple):
    """A running server: its port, and the folder with its keys and both configurations."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """The device's URL."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A server for all tests."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("OpenSSH's server is not installed (Debian: openssh-server)")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (folder / "sshd_config").write_text(SERVER_CONFIG.format(port=port, folder=folder))
    (folder / "ssh_config").write_text(CLIENT_CONFIG.format(folder=folder))
    key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:* {' '.join(key)}\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd as root confines its unprivileged half
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stdout=log, stderr=log)
    try:
        _wait(port, server, folder / "log")
        yield SshServer(port, folder)
    finally:
        server.terminate()
        server.wait(timeout=10)


def _wait(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail(f"sshd did not start: {log.read_text()}")


@pytest.fixture
def ssh_device(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a device behind the server, with a folder of the test's own there."""
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(ssh_server.folder / "ssh_config"))
    return f"{ssh_server.url}?home={tmp_path / 'device'}"
