"""Opening a serial line: every way in which it fails says what to do."""

import os
import pty
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.serial_url import SerialUrl
from edgekit_bridge.serial.port import open_port


@pytest.fixture
def terminal() -> Iterator[str]:
    """A pseudo terminal's name."""
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_port_that_is_there(terminal: str) -> None:
    """Opens, at a rate that is asked for."""
    with open_port(SerialUrl(port=terminal, baud=921_600)) as port:
        assert port.baudrate == 921_600


def test_somebody_else_has_it(terminal: str) -> None:
    """Two at once would take each other's bytes."""
    with (
        open_port(SerialUrl(port=terminal)),
        pytest.raises(DeviceError, match="Somebody else has") as caught,
        open_port(SerialUrl(port=terminal)),
    ):
        pass
    assert caught.value.transient
    assert "fuser" in caught.value.hint


def test_no_permission(terminal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is named; root may do everything, so the refusal is the system's words only."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", terminal)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DeviceError, match="You may not open") as caught, open_port(SerialUrl(port=terminal)):
        pass
    assert "dialout" in caught.value.hint


def test_no_such_port(tmp_path: Path) -> None:
    """Not plugged in."""
    with pytest.raises(DeviceError, match="There is no") as caught, open_port(SerialUrl(port=str(tmp_path / "tty"))):
        pass
    assert "plugged in" in caught.value.hint


def test_a_file_is_no_port(tmp_path: Path) -> None:
    """Neither is what is no terminal."""
    file = tmp_path / "tty"
    file.write_bytes(b"")
    with pytest.raises(DeviceError, match="does not open"), open_port(SerialUrl(port=str(file))):
        pass


def test_nothing_listens() -> None:
    """An emulator that is not running."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with (
        pytest.raises(DeviceError, match="Nothing listens") as caught,
        open_port(SerialUrl(port=f"socket://127.0.0.1:{number}")),
    ):
        pass
    assert caught.value.transient


def test_what_pyserial_does_not_know() -> None:
    """A URL of a kind that there is not."""
    with pytest.raises(UsageError, match="no serial port"), open_port(SerialUrl(port="carrier-pigeon://coop")):
        pass
