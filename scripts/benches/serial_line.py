"""The serial line against its bars: throughput, bad bytes, MLPerf Tiny's text, repeatability, and random bytes."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from alternating import Check, conclude
from busy import busy

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import numpy as np

from edgekit.artifact import Artifact
from edgekit.device import parse_device
from edgekit.progress import SilentProgress
from edgekit.serial_url import SerialUrl, serial_url
from edgekit_bridge.firmware.build import build
from edgekit_bridge.firmware.emulator import running
from edgekit_bridge.firmware.ports import SOURCES
from edgekit_bridge.serial.board import Board
from edgekit_bridge.serial.framing import FrameReader, make_frame
from edgekit_bridge.serial.mlperf_tiny import LOAD_BYTES, TextBoard
from edgekit_bridge.serial.port import open_port
from edgekit_bridge.serial.stream import PortStream
from models.negated_c import negated_artifact
from peers.bad_line import BadLine

SECONDS: Final = 4
"""How long a transfer is, at the line's rate."""

TEXT_BYTES: Final = 3800
WRONG: Final = 0.01
RUNS: Final = 20
RANDOM_BYTES: Final = 10_000_000
TURNS: Final = 3
SILENT: Final = SilentProgress()
READY: Final = b"m-ready\r\n"


def transfer(folder: Path, width: int, baud: int, wrong: float) -> dict[str, float]:
    """Shares of the line's rate that a tensor of `width` bytes gets through, there and back.

    Raises:
        SystemExit: What arrived is not what was sent.
    """
    data = np.random.default_rng(1).integers(0, 256, width, np.uint8)
    expected = np.minimum(127, 6 - data.view(np.int8).astype(int)).astype(np.int8).tobytes()
    found = {}
    with (
        running(folder) as (url, _),
        BadLine(int(url.rpartition(":")[2]), baud=baud, wrong=wrong, seed=baud) as line,
        open_port(SerialUrl(port=line.port, baud=baud)) as port,
    ):
        board = Board(PortStream(port))
        found["to"] = 10 * width / baud / elapsed_s(lambda: board.write(0, data.tobytes()))
        board.infer(patience_s=60)
        began = time.monotonic()
        got = board.read(0)
        found["from"] = 10 * width / baud / (time.monotonic() - began)
    if got != expected:
        raise SystemExit(f"A transfer at {baud} baud with {wrong:.0%} wrong bytes came out wrong.")
    return found


def elapsed_s(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def text_shares(folder: Path, baud: int) -> tuple[float, float]:
    """What the text protocol's load takes at least, over what it takes: by the rate, and by the barest loop.

    A command goes out, `m-ready` comes back, the next goes out: nobody may be faster.
    """
    data = bytes(TEXT_BYTES)
    commands = [f"db {data[at : at + LOAD_BYTES].hex()}%".encode() for at in range(0, len(data), LOAD_BYTES)]
    wire = sum(map(len, commands)) + len(commands) * len(READY)
    with (
        running(folder) as (url, _),
        BadLine(int(url.rpartition(":")[2]), baud=baud) as line,
        open_port(SerialUrl(port=line.port, baud=baud)) as port,
    ):
        stream = PortStream(port)
        board = TextBoard(stream)
        taken, bare = [], []
        for _ in range(TURNS):
            taken.append(elapsed_s(lambda: board.load(data)))
            board.command(f"db load {TEXT_BYTES}")
            bare.append(elapsed_s(lambda: _ask_all(stream, commands)))
        return 10 * wire / baud / min(taken), min(bare) / min(taken)


def _ask_all(stream: PortStream, commands: Sequence[bytes]) -> None:
    for command in commands:
        stream.write(command)
        said = b""
        while READY not in said:
            said += stream.read(10)


def instructions(folder: Path) -> list[int]:
    """Ticks of one inference in many starts of the emulator, while this machine is busy."""
    found = []
    with busy():
        for _ in range(RUNS):
            with running(folder) as (url, _), open_port(serial_url(parse_device(url))) as port:
                board = Board(PortStream(port))
                board.write(0, bytes(board.inputs[0].size))
                found.append(board.infer(patience_s=120)[0])
    return found


def noise(rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """Random bytes, and frames and commands of both protocols with some of their bytes changed."""
    frames = [
        make_frame(bytes([1, 0]) + bytes([1, 0, 4, 1, 2, 3, 4])),
        *(make_frame(bytes([number, 1]) + bytes(range(1, 14)), protected=number % 2 == 0) for number in range(12)),
        make_frame(b"\x03\x01" + bytes(200), protected=True),
        make_frame(b"\x05\x02\x01\x00\x00\x00\x01\x00\x00"),
        b"name%profile%db load 4%db 01020304%infer 1 0%results%db print%",
        b"db load 99999999999%db zz%infer -1%infer x%%" + b"d" * 200 + b"%",
    ]
    while count > 0:
        random = rng.random() < 0.4
        piece = bytearray(
            rng.integers(0, 256, 400, np.uint8).tobytes() if random else frames[rng.integers(len(frames))]
        )
        for place in rng.integers(0, len(piece), rng.integers(0, 4)):
            piece[place] = rng.integers(0, 256)
        count -= len(piece)
        yield bytes(piece)


def fuzz_firmware(folder: Path, artifact: Artifact) -> bool:
    """The whole harness under the address and undefined-behaviour sanitizers; whether it took all bytes."""
    build(artifact, "posix", folder, SILENT)
    files = [*SOURCES.glob("*.c"), SOURCES / "ports" / "posix" / "port.c", artifact.path / "model.c"]
    (folder / "edgekit_config.h").write_text(
        '#define EDGEKIT_ARTIFACT_ID ""\n#define EDGEKIT_KEEP_INPUTS 1\n#define EDGEKIT_MOST_INPUT_BYTES 16u\n'
    )
    flags = ["-std=c99", "-O2", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    folders = [f"-I{place}" for place in (SOURCES, artifact.path, folder)]
    subprocess.run(["cc", *flags, *folders, *files, "-lm", "-o", folder / "fuzzed"], check=True)
    data = b"".join(noise(np.random.default_rng(7), RANDOM_BYTES)) + b"\0name%"
    done = subprocess.run([folder / "fuzzed"], input=data, capture_output=True, check=False, timeout=900)
    return done.returncode == 0 and done.stdout.endswith(b"m-name-dut-[edgekit posix]\r\nm-ready\r\n")


def fuzz_host() -> bool:
    """The host's parser on the same bytes; whether it still finds a frame after them."""
    reader = FrameReader()
    for piece in noise(np.random.default_rng(8), RANDOM_BYTES):
        list(reader.feed(piece))
    return [frame.body for frame in reader.feed(b"\0" + make_frame(b"here"))] == [b"here"]


def line_checks(place: Path) -> tuple[list[str], dict[str, float], list[Check]]:
    """Throughput of both protocols."""
    facts, checks = {}, []
    for baud in (115_200, 921_600):
        width = baud // 10 * SECONDS
        artifact = negated_artifact(place / f"w{baud}.edgekit", width)
        build(artifact, "posix", place / f"f{baud}", SILENT)
        for wrong, least in ((0.0, 90), (WRONG, 60)):
            for way, share in transfer(place / f"f{baud}", width, baud, wrong).items():
                what = f"{way} the board at {baud}, {wrong:.0%} of bytes wrong"
                facts[what] = 100 * share
                checks.append(Check(f"{what}, share of line rate", 100 * share, 100, least, "%"))
    rate, bare = text_shares(place / "f115200", 115_200)
    facts |= {"text of its rate": 100 * rate, "text of a bare loop": 100 * bare}
    checks.append(Check("MLPerf Tiny text at 115200, share of a bare loop's speed", 100 * bare, 110, 95, "%"))
    lines = [
        f"{SECONDS} s of bytes each way on a pseudo terminal that is paced.",
        f"MLPerf Tiny text: {rate:.1%} of what 115200 baud allow for a command after the other.",
    ]
    return lines, facts, checks


def main() -> int:
    """Measure and judge."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        lines, facts, checks = line_checks(place)
        small = negated_artifact(place / "small.edgekit", 16)
        checks.append(Check("firmware survives 10 million bytes", float(fuzz_firmware(place / "fuzz", small)), 1, 1))
        checks.append(Check("host's parser survives 10 million bytes", float(fuzz_host()), 1, 1))
        if shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm"):
            build(negated_artifact(place / "m4.edgekit", 40_000), "qemu-mps2-an386", place / "m4", SILENT)
            ticks = instructions(place / "m4")
            spread = 100 * (max(ticks) / min(ticks) - 1)
            lines.append(
                f"{RUNS} starts of the emulated Cortex-M4: {min(ticks):,} to {max(ticks):,} ticks an inference."
            )
            checks.append(Check(f"spread of {RUNS} runs on a busy machine", spread, 0.1, unit="%"))
        else:
            lines.append("Left out: arm-none-eabi-gcc or qemu-system-arm is not installed.")
    return conclude("serial", lines, facts, checks)


if __name__ == "__main__":
    sys.exit(main())
