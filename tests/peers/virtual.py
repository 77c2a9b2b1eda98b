"""Emulated devices for the tests: an arm64 userland and a whole arm64 board, made once for all tests that ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.progress import SilentProgress
from edgekit_bridge.virtual import devices, record
from edgekit_bridge.virtual.needs import check_needs
from edgekit_bridge.virtual.record import Kind


@pytest.fixture(scope="session")
def virtual_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the devices and the images lie: not in a test's own folders, since they outlive it."""
    return tmp_path_factory.mktemp("virtual")


@contextmanager
def _folders(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_DATA", str(folder / "data"))
        patch.setenv("EDGEKIT_CACHE", str(folder / "cache"))
        yield


def _running(folder: Path, name: str, kind: Kind, target: str = "raspberrypi4") -> Iterator[None]:
    try:
        check_needs(kind, android=target.startswith("android"))
    except UsageError as error:
        pytest.skip(f"{error.cause} {error.hint}")
    with _folders(folder):
        devices.create(name, target, kind, SilentProgress())
        devices.start(name, SilentProgress(), clock="wall" if kind == "userland" else "instructions")
    yield
    with _folders(folder):
        devices.remove(name)


@pytest.fixture(scope="session")
def _userland(virtual_folder: Path) -> Iterator[None]:
    yield from _running(virtual_folder, "pi4", "userland")


@pytest.fixture(scope="session")
def _board(virtual_folder: Path) -> Iterator[None]:
    yield from _running(virtual_folder, "counter", "board")


@pytest.fixture(scope="session")
def _phone(virtual_folder: Path) -> Iterator[None]:
    yield from _running(virtual_folder, "phone", "userland", "android-arm64")


@pytest.fixture
def phone(_phone: None, virtual_folder: Path) -> Iterator[str]:
    """The URL of an emulated phone, behind the real adbd."""
    with _folders(virtual_folder):
        yield f"adb://127.0.0.1:{record.load('phone').port}"


@pytest.fixture
def pi4(_userland: None, virtual_folder: Path) -> Iterator[str]:
    """The URL of an emulated Raspberry Pi 4's userland; inside, edgekit's data and cache are those that hold it."""
    with _folders(virtual_folder):
        yield "virtual:pi4"


@pytest.fixture
def counter(_board: None, virtual_folder: Path) -> Iterator[str]:
    """The URL of an emulated board that counts instructions."""
    with _folders(virtual_folder):
        yield "virtual:counter"
