"""The boards that firmware can be built for here: what compiles it, with which flags, from which files."""

from pathlib import Path
from typing import Final

import msgspec

from edgekit.errors import UsageError
from edgekit.suggest import did_you_mean

SOURCES: Final = Path(__file__).parent / "c"
"""The harness, and `ports/` with a folder for each board."""


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """How firmware for a board is built.

    Attributes:
        target: The target profile's name.
        compiler: The program.
        binutils: What its tools are called before their name (`arm-none-eabi-`).
        install: How to get the compiler.
        flags: For compiling and linking.
        link: For linking only.
        folders: Below `ports/`, the files that belong to it.
        script: The linker script, below `ports/`; empty for the system's own.
        run: How to start the image, with IMAGE and PORT in place.
    """

    target: str
    compiler: str
    binutils: str
    install: str
    flags: tuple[str, ...]
    folders: tuple[str, ...]
    link: tuple[str, ...] = ()
    script: str = ""
    run: tuple[str, ...] = ()


_QEMU: Final = (
    "qemu-system-arm", "-M", "mps2-an386", "-icount", "shift=0", "-display", "none", "-monitor", "none",
    "-serial", "tcp:127.0.0.1:PORT,server=on,wait=off", "-kernel", "IMAGE",
)  # fmt: skip

PORTS: Final = (
    Port(
        target="qemu-mps2-an386",
        compiler="arm-none-eabi-gcc",
        binutils="arm-none-eabi-",
        install="apt install gcc-arm-none-eabi libnewlib-arm-none-eabi, or Arm's GNU toolchain from developer.arm.com",
        flags=("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        link=("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections"),
        folders=("cortex_m", "qemu_mps2_an386"),
        script="qemu_mps2_an386/link.ld",
        run=_QEMU,
    ),
    Port(
        target="posix",
        compiler="cc",
        binutils="",
        install="apt install gcc libc6-dev",
        flags=(),
        folders=("posix",),
        run=("IMAGE", "--tcp", "PORT"),
    ),
)


def port_for(target: str) -> Port:
    """The port for a target.

    Raises:
        UsageError: There is none.
    """
    for port in PORTS:
        if port.target == target:
            return port
    names = [port.target for port in PORTS]
    hint = f"{did_you_mean(target, names, 'targets')} For another board, export a project: `edgekit firmware export`."
    raise UsageError(f"Firmware cannot be built here for {target!r}.", hint=hint)
