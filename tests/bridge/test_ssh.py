"""`ssh:` against a real OpenSSH server: what can go wrong, and what the user is told."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import DeviceError
from edgekit.progress import SilentProgress
from edgekit.protocols import Link
from edgekit_cli.main import main
from peers.openssh import SshServer
from peers.proxy import Proxy

pytestmark = pytest.mark.peer


@contextmanager
def opened(url: str, timeout_s: float = 5) -> Iterator[Link]:
    """A link to the device."""
    with catalog.transport("ssh").open(parse_device(url), timeout_s=timeout_s) as link:
        yield link


def refusal(url: str) -> DeviceError:
    """How opening it fails."""
    with pytest.raises(DeviceError) as caught, opened(url):
        pass
    return caught.value


def changed_config(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    """Use copies of the client's files, some of them changed."""
    for name in ("ssh_config", "known_hosts", "user_key"):
        text = files.get(name, (server.folder / name).read_text())
        (tmp_path / name).write_text(text.replace(str(server.folder), str(tmp_path)))
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("EDGEKIT_SSH_CONFIG", str(tmp_path / "ssh_config"))


def test_an_unknown_host_key_is_refused(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked; the user logs in once to see it."""
    changed_config(ssh_server, tmp_path, monkeypatch, known_hosts="")
    error = refusal(ssh_server.url)
    assert "is not known yet" in error.cause
    assert f"-p {ssh_server.port}" in error.hint


def test_a_changed_host_key_is_refused(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to forget the old one, and why one might not."""
    other = (ssh_server.folder / "user_key.pub").read_text().split()[:2]
    changed_config(ssh_server, tmp_path, monkeypatch, known_hosts=f"[127.0.0.1]:{ssh_server.port} {' '.join(other)}\n")
    error = refusal(ssh_server.url)
    assert "another host key" in error.cause
    assert f"ssh-keygen -R '[127.0.0.1]:{ssh_server.port}'" in error.hint


def test_a_wrong_key_is_refused(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how to install the right one."""
    changed_config(ssh_server, tmp_path, monkeypatch, user_key=(ssh_server.folder / "host_key").read_text())
    error = refusal(ssh_server.url)
    assert "did not let us in" in error.cause
    assert "ssh-copy-id" in error.hint


def test_nobody_there_and_no_such_host(ssh_device: str) -> None:
    """A port that nothing listens on may come back; a name that does not exist will not."""
    assert ssh_device
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refusal(f"ssh://127.0.0.1:{port}")
    assert (error.transient, "Nothing answers" in error.cause) == (True, True)
    error = refusal("ssh://no-such-host.invalid")
    assert (error.transient, "There is no host no-such-host.invalid" in error.cause) == (False, True)
    assert "names no host" in refusal("ssh:").cause


@pytest.mark.slow
def test_a_device_that_hangs_is_given_up(ssh_device: str) -> None:
    """A server that accepts and says nothing."""
    assert ssh_device
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error = refusal(f"ssh://127.0.0.1:{silent.getsockname()[1]}")
    assert "cannot be reached" in error.cause
    assert error.transient


def test_a_connection_that_breaks_is_told(ssh_server: SshServer, ssh_device: str) -> None:
    """The link is cut while a program runs there."""
    with Proxy(ssh_server.port) as proxy, opened(ssh_device.replace(f":{ssh_server.port}", f":{proxy.port}")) as link:
        threading.Timer(0.5, proxy.cut).start()
        with pytest.raises(DeviceError, match=r"The connection to .* broke") as caught:
            link.run([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=30)
    assert caught.value.transient


def test_a_program_may_exit_with_what_ssh_fails_with(ssh_device: str) -> None:
    """255 of a program is 255, while the connection is there."""
    with opened(ssh_device) as link:
        assert link.run(["sh", "-c", "exit 255"], timeout_s=10).returncode == 255
        assert link.run(["sh", "-c", "exit 127"], timeout_s=10).returncode == 127


def test_a_device_without_python_is_told(ssh_device: str) -> None:
    """When Python is needed, not before: such a device can still be pushed to."""
    with opened(ssh_device) as link:
        bare = type(link)(link._client, link.home(), "")  # type: ignore[attr-defined, call-arg]  # a device whose probe found none
        with pytest.raises(DeviceError, match="has no python3"):
            bare.python()


def test_a_place_that_cannot_be_written_is_told(ssh_device: str, tmp_path: Path) -> None:
    """By the device's own words, and with what to do."""
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with opened(ssh_device) as link, pytest.raises(DeviceError, match="Cannot write /proc/none/file"):
        link.push(file, PurePosixPath("/proc/none/file"), SilentProgress())


def test_nothing_is_left_behind(ssh_device: str, tmp_path: Path) -> None:
    """Neither the socket of the shared connection nor a part of a file."""
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("edgekit-ssh-*"))
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    with opened(ssh_device) as link:
        link.push(file, link.home() / "file", SilentProgress())
        (left,) = Path(link.home()).iterdir()
        assert left.read_bytes() == file.read_bytes()
    assert set(Path(os.environ.get("TMPDIR", "/tmp")).glob("edgekit-ssh-*")) == before


@pytest.mark.slow
def test_an_artifact_is_measured_over_ssh(
    ssh_device: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: staged, verified, golden vectors checked, measured, stored as that device's."""
    artifact = request.getfixturevalue("make_artifact")(request.getfixturevalue("linear_tflite"))
    device = f"{ssh_device}&python={sys.executable}"
    assert main(["bench", str(artifact.path), "--device", device, "--repeat", "2", "--min-time", "20ms"]) == 0
    assert "ssh://" in capsys.readouterr().out
