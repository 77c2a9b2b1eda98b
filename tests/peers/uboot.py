"""A real U-Boot for the tests, in an emulated board with a disk, its console on a TCP port."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

FIRMWARE: Final = Path("/usr/lib/u-boot/qemu_arm/u-boot.bin")

_DISK_SECTORS: Final = 32_768
_START_S: Final = 10.0


class UBootBoard(NamedTuple):
    """A running board: its console's port, and its disk."""

    url: str
    disk: Path

    def file(self, name: str) -> bytes:
        """A file of its disk, as another program reads it (mtools)."""
        return subprocess.run(["mtype", "-i", self.disk, f"::{name}"], capture_output=True, check=True).stdout


def free_port() -> int:
    """A TCP port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _missing() -> str:
    programs = {"qemu-system-arm": "qemu-system-arm", "mformat": "mtools"}
    lacking = [package for program, package in programs.items() if not shutil.which(program)]
    lacking += [] if FIRMWARE.is_file() else ["u-boot-qemu"]
    return f"Not installed (Debian): {', '.join(lacking)}" if lacking else ""


@pytest.fixture(scope="module")
def uboot_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UBootBoard]:
    """One for all tests of a file: it takes a processor for itself, at its prompt too."""
    if reason := _missing():
        pytest.skip(reason)
    disk, port = tmp_path_factory.mktemp("uboot") / "disk.img", free_port()
    subprocess.run(["mformat", "-C", "-i", disk, "-T", str(_DISK_SECTORS), "::"], check=True)
    argv = ["qemu-system-arm", "-M", "virt", "-m", "256", "-bios", str(FIRMWARE), "-net", "none", "-display", "none"]
    argv += ["-drive", f"if=none,id=d,format=raw,file={disk}", "-device", "virtio-blk-device,drive=d"]
    argv += ["-monitor", "none", "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"]
    process = subprocess.Popen(argv)
    try:
        _wait(port, process)
        yield UBootBoard(f"serial:socket://127.0.0.1:{port}", disk)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("qemu-system-arm did not start")
