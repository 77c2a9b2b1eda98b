"""Run firmware here: under QEMU, or as the program that it is."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edgekit.errors import DeviceError, UsageError
from edgekit_bridge.firmware.build import load_image
from edgekit_bridge.firmware.ports import port_for

_START_S: Final = 10.0


def free_port() -> int:
    """A TCP port of this machine that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(folder: Path, number: int = 0) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Have firmware run inside; gives its device URL and its process, which is ended at the end.

    Args:
        folder: Where it was built.
        number: The TCP port of its serial line; 0 for a free one.

    Raises:
        UsageError: It is no firmware, or the emulator is not installed.
        DeviceError: The port is taken, or it does not start.
    """
    image = load_image(folder)
    port = port_for(image.target)
    if number and _listens(number):
        raise DeviceError(
            f"TCP port {number} of this machine is in use.", hint="Take another one, or 0 for a free one."
        )
    number = number or free_port()
    program = str((folder / image.files[0].name).resolve())
    argv = [word.replace("IMAGE", program).replace("PORT", str(number)) for word in port.run]
    if shutil.which(argv[0]) is None:
        raise UsageError(
            f"{image.target} runs in {argv[0]}, which is not installed.", hint="apt install qemu-system-arm"
        )
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _until_it_listens(process, number)
        yield f"serial:socket://127.0.0.1:{number}", process
    finally:
        process.terminate()
        process.wait()
        if process.stderr:
            process.stderr.close()


def _listens(number: int) -> bool:
    """Whether somebody does, without taking the line: a serial line has one user."""
    return f"0100007F:{number:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def _until_it_listens(process: "subprocess.Popen[bytes]", number: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = (process.stderr.read() if process.stderr else b"").decode(errors="replace").strip()
            raise DeviceError(f"It does not start: {said or process.returncode}", hint="Is the port free?")
        if _listens(number):
            return
        time.sleep(0.02)
    raise DeviceError("It does not open its serial line.", hint="Start it by hand to see what it says.")
