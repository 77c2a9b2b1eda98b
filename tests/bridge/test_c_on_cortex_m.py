"""Models in C where they are meant to run: on Cortex-M cores, whose instructions the host never executes."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit.artifact import Artifact, file_entry, load_artifact, write_manifest
from edgekit.device import parse_device
from edgekit.model import Signature
from edgekit.progress import SilentProgress
from edgekit.serial_url import serial_url
from edgekit_bridge.firmware.build import build
from edgekit_bridge.serial.board import Board
from edgekit_bridge.serial.port import open_port
from edgekit_bridge.serial.stream import PortStream
from edgekit_converters.c.compile import compile_tflite
from models.c_cases import CASES, case_file
from models.c_reference import Reference
from models.linear import manifest
from peers.boards import StartBoard

pytestmark = [pytest.mark.peer, pytest.mark.slow]

SAMPLES = 5


def compiled(content: bytes, folder: Path) -> Artifact:
    """An artifact of a TFLite file's C; its golden vectors are of no use here."""
    folder.mkdir()
    inputs, outputs = Reference(content).specs()
    source, footprint = compile_tflite(content, inputs, outputs)
    (folder / "model.c").write_text(source.code)
    (folder / "model.h").write_text(source.header)
    np.savez(folder / "golden.npz", none=np.zeros(1))
    entries = tuple(file_entry(folder / name) for name in ("model.c", "model.h", "golden.npz"))
    found = msgspec.structs.replace(
        manifest(folder, "model.c", ""),
        name=folder.stem,
        format="c",
        files=entries,
        signature=Signature(inputs=tuple(inputs), outputs=tuple(outputs)),
        footprint=footprint,
    )
    write_manifest(folder, found)
    return load_artifact(folder)


@pytest.mark.parametrize("name", CASES)
def test_int8_on_the_core_equals_the_reference_kernels_to_the_bit(
    name: str, cortex_firmware: Path, start_board: StartBoard, tmp_path: Path
) -> None:
    """SMLAD and all: what went over the line and came back is what LiteRT's reference kernels give."""
    del cortex_firmware  # skips without compiler or emulator
    check(name, "qemu-mps2-an386", tmp_path, start_board)


@pytest.mark.parametrize("image", ["an385", "an500"])
def test_other_cores_do_too(image: str, cortex_firmware: Path, start_board: StartBoard, tmp_path: Path) -> None:
    """A Cortex-M3, which has neither SMLAD nor floating point, and an M7."""
    del cortex_firmware
    check("separable", f"qemu-mps2-{image}", tmp_path, start_board)


def check(name: str, target: str, tmp_path: Path, start_board: StartBoard) -> None:
    """Build a network for a core, and compare what it gives there."""
    content = case_file(name, "int8")
    build(compiled(content, tmp_path / f"{name}.edgekit"), target, tmp_path / "firmware", SilentProgress())
    reference = Reference(content)
    with open_port(serial_url(parse_device(start_board(tmp_path / "firmware")))) as port:
        board = Board(PortStream(port))
        for sample in reference.samples(SAMPLES):
            for place, value in enumerate(sample):
                board.write(place, value.tobytes())
            board.infer(patience_s=30)
            for place, wanted in enumerate(reference.run(sample)):
                assert board.read(place) == wanted.tobytes()
