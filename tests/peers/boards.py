"""Firmware that runs here, on the far side of a serial line: a program of this machine, or a Cortex-M4 under QEMU."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekit.artifact import Artifact
from edgekit.progress import SilentProgress
from edgekit_bridge.firmware.build import build
from edgekit_bridge.firmware.emulator import running
from models.negated_c import negated_artifact

StartBoard = Callable[[Path], str]


@pytest.fixture(scope="session")
def negated(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model in C that negates four numbers."""
    return negated_artifact(tmp_path_factory.mktemp("negated") / "negated-c-int8.edgekit")


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same of 8,000 numbers: something to send."""
    return negated_artifact(tmp_path_factory.mktemp("wide") / "wide-c-int8.edgekit", 8000)


def _built(artifact: Artifact, target: str, folder: Path, *programs: str) -> Path:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    build(artifact, target, folder, SilentProgress())
    return folder


@pytest.fixture(scope="session")
def posix_firmware(negated: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Firmware as a program of this machine."""
    return _built(negated, "posix", tmp_path_factory.mktemp("posix"), "cc")


@pytest.fixture(scope="session")
def wide_firmware(wide: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the wide model."""
    return _built(wide, "posix", tmp_path_factory.mktemp("wide"), "cc")


@pytest.fixture(scope="session")
def cortex_firmware(negated: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Firmware for the emulated Cortex-M4."""
    programs = ("arm-none-eabi-gcc", "qemu-system-arm")
    return _built(negated, "qemu-mps2-an386", tmp_path_factory.mktemp("cortex"), *programs)


@pytest.fixture
def start_board() -> Iterator[StartBoard]:
    """Starts firmware of a folder; gives its device URL."""
    with ExitStack() as stack:

        def start(folder: Path) -> str:
            url, _ = stack.enter_context(running(folder))
            return url

        yield start
