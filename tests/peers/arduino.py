"""A real Arduino bootloader for the tests, on an ATmega328P that simavr simulates."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
BOOTLOADER: Final = Path(
    "/usr/share/arduino/hardware/arduino/avr/bootloaders/atmega/ATmegaBOOT_168_atmega328.hex",
)
FLASH_BYTES: Final = 32_768


class Arduino:
    """A running board: its port; and what its flash holds, when it is off."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._dump = folder / "flash.bin"
        argv = [str(program), str(BOOTLOADER), str(self._dump)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        named = next((line for line in self._process.stdout if line.startswith("pty ")), "")
        assert named, "simavr did not start"
        self.port = named.split()[1]

    def reset(self) -> None:
        """As its button does: the bootloader listens again."""
        self._process.send_signal(signal.SIGUSR1)

    def freeze(self) -> None:
        """It answers no more."""
        self._process.send_signal(signal.SIGSTOP)

    def flash(self) -> bytes:
        """Turn it off; what is in its flash, as the simulator knows it."""
        self.close()
        return self._dump.read_bytes()

    def close(self) -> None:
        """Turn it off."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def _missing() -> str:
    programs = {"avrdude": "avrdude", "gcc": "gcc"}
    lacking = [package for program, package in programs.items() if not shutil.which(program)]
    files = {BOOTLOADER: "arduino-core-avr", Path("/usr/include/simavr/sim_avr.h"): "libsimavr-dev"}
    lacking += [package for file, package in files.items() if not file.is_file()]
    return f"Not installed (Debian): {', '.join(lacking)}" if lacking else ""


@pytest.fixture(scope="session")
def arduino_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated board, compiled."""
    if reason := _missing():
        pytest.skip(reason)
    program = tmp_path_factory.mktemp("arduino") / "arduino_board"
    argv = ["gcc", "-O2", "-Wall", "-I/usr/include/simavr", "-o", str(program), str(HERE / "arduino_board.c")]
    subprocess.run([*argv, "-lsimavrparts", "-lsimavr", "-lpthread"], check=True, capture_output=True)
    return program


@pytest.fixture
def arduino(arduino_program: Path, tmp_path: Path) -> Iterator[Arduino]:
    """A board with nothing but its bootloader."""
    board = Arduino(arduino_program, tmp_path)
    yield board
    if board._process.poll() is None:
        board.close()


@pytest.fixture(scope="session")
def blink(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles a small program for the board, as ELF or as HEX."""

    def build(kind: str) -> Path:
        if not shutil.which("avr-gcc"):
            pytest.skip("Not installed (Debian): gcc-avr")
        folder = tmp_path_factory.mktemp("blink")
        source, elf = folder / "blink.c", folder / "blink.elf"
        source.write_text("#include <avr/io.h>\nint main(void) { DDRB = 0x20; for (;;) PORTB ^= 0x20; }\n")
        subprocess.run(["avr-gcc", "-mmcu=atmega328p", "-Os", "-o", elf, source], check=True, capture_output=True)
        if kind == "hex":
            out = folder / "blink.hex"
            subprocess.run(["avr-objcopy", "-O", "ihex", elf, out], check=True)
            return out
        return elf

    return build
