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


def _qemu_mps2(image: str, cpu: str, *flags: str) -> Port:
    """Arm's MPS2 board with one of its FPGA images, each another core."""
    target, machine = f"qemu-mps2-{image}", f"mps2-{image}"
    line = "tcp:127.0.0.1:PORT,server=on,wait=off"
    quiet = ("-display", "none", "-monitor", "none")
    return Port(
        target=target,
        compiler="arm-none-eabi-gcc",
        binutils="arm-none-eabi-",
        install="apt install gcc-arm-none-eabi libnewlib-arm-none-eabi, or Arm's GNU toolchain from developer.arm.com",
        flags=("-mthumb", *flags, f'-DEDGEKIT_BOARD="{target}"', f'-DEDGEKIT_CPU="{cpu}"'),
        link=("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections"),
        folders=("cortex_m", "qemu_mps2"),
        script="qemu_mps2/link.ld",
        run=("qemu-system-arm", "-M", machine, "-icount", "shift=0", *quiet, "-serial", line, "-kernel", "IMAGE"),
    )


PORTS: Final = (
    _qemu_mps2("an385", "Cortex-M3", "-mcpu=cortex-m3"),
    _qemu_mps2("an386", "Cortex-M4", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    _qemu_mps2("an500", "Cortex-M7", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"),
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
