"""`edgekit firmware`: what a microcontroller runs, built, exported and run."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edgekit import catalog
from edgekit.artifact import Artifact, load_artifact, write_manifest
from edgekit.errors import ConversionError, DeviceError, UsageError
from edgekit.progress import SilentProgress
from edgekit_bridge.firmware.build import build, load_image
from edgekit_bridge.firmware.emulator import free_port, running
from edgekit_bridge.firmware.export import PROJECTS
from edgekit_bridge.firmware.ports import PORTS
from edgekit_cli.main import main
from models.linear import MakeArtifact
from models.negated_c import copy_artifact, negated_artifact

SILENT = SilentProgress()
CORTEX = "qemu-mps2-an386"


def without_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has none."""
    monkeypatch.setattr(shutil, "which", lambda _name: None)


@pytest.mark.peer
class TestBuild:
    def test_a_board(self, negated: Artifact, cortex_firmware: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """ELF, binary and HEX, with a record of what they hold and take; the same input gives the same bytes."""
        again = cortex_firmware.parent / "again"
        argv = ["firmware", "build", str(negated.path), "--target", CORTEX, "-o", str(again), "--json"]
        assert main(argv) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["artifact_id"] == negated.id
        assert 10_000 < told["flash_bytes"] < 40_000
        assert (again / "firmware.bin").stat().st_size == told["flash_bytes"]
        assert (again / "firmware.hex").read_text().startswith(":")
        assert sorted(path.name for path in again.iterdir()) == [
            "firmware.bin", "firmware.elf", "firmware.hex", "firmware.json",
        ]  # fmt: skip
        assert (again / "firmware.bin").read_bytes() == (cortex_firmware / "firmware.bin").read_bytes()
        assert load_image(again).target == CORTEX

    def test_inputs_may_be_kept_or_not(self, wide: Artifact, cortex_firmware: Path, tmp_path: Path) -> None:
        """Without a copy of its own 8,000 inputs less are in RAM."""
        del cortex_firmware  # skips without a compiler
        kept, spare = (build(wide, CORTEX, tmp_path / str(keep), SILENT, keep_inputs=keep) for keep in (True, False))
        assert kept.ram_bytes - spare.ram_bytes >= 8000

    def test_a_model_that_is_too_large(self, cortex_firmware: Path, tmp_path: Path) -> None:
        """The linker's words become one sentence with what to do, and nothing stays."""
        del cortex_firmware
        large = negated_artifact(tmp_path / "large.edgekit", 3_000_000)
        with pytest.raises(ConversionError, match="does not build it") as caught:
            build(large, CORTEX, tmp_path / "out", SILENT)
        assert "too large for the board" in caught.value.hint
        assert caught.value.log is not None
        assert list((tmp_path / "out").iterdir()) == []

    def test_what_does_not_compile(self, negated: Artifact, tmp_path: Path) -> None:
        """Names the compiler's first error and keeps the rest in a log."""
        broken = load_artifact(copy_artifact(negated, tmp_path / "broken.edgekit"))
        (broken.path / "model.c").write_text("int edgekit(void) { return no_such_thing; }\n")
        with pytest.raises(ConversionError, match="no_such_thing") as caught:
            build(broken, "posix", tmp_path / "out", SILENT)
        assert caught.value.log is not None
        assert "no_such_thing" in caught.value.log.read_text()


class TestRefusals:
    def test_no_compiler(self, negated: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Says how to get it."""
        without_compilers(monkeypatch)
        with pytest.raises(UsageError, match="needs arm-none-eabi-gcc") as caught:
            build(negated, CORTEX, tmp_path, SILENT)
        assert "apt install gcc-arm-none-eabi" in caught.value.hint

    def test_another_format(self, linear_tflite: Path, make_artifact: MakeArtifact, tmp_path: Path) -> None:
        """Firmware is built of C, not of TFLite."""
        with pytest.raises(UsageError, match="is tflite") as caught:
            build(make_artifact(linear_tflite), "posix", tmp_path, SILENT)
        assert "--format c" in caught.value.hint

    def test_another_board(self, negated: Artifact, tmp_path: Path) -> None:
        """Is named, with the nearest that there is, and the way for every other."""
        with pytest.raises(UsageError, match="cannot be built here for 'stm32f746'") as caught:
            build(negated, "stm32f746", tmp_path, SILENT)
        assert "export" in caught.value.hint

    def test_an_artifact_without_its_header(self, negated: Artifact, tmp_path: Path) -> None:
        """It was made by hand, or is of another edgekit."""
        folder = copy_artifact(negated, tmp_path / "bare.edgekit")
        files = tuple(entry for entry in negated.manifest.files if entry.name != "model.h")
        write_manifest(folder, msgspec.structs.replace(negated.manifest, files=files))
        with pytest.raises(UsageError, match=r"no model\.h"):
            build(load_artifact(folder), "posix", tmp_path / "out", SILENT)

    def test_a_folder_without_firmware(self, tmp_path: Path) -> None:
        """Cannot be run."""
        with pytest.raises(UsageError, match="holds no firmware"):
            load_image(tmp_path)

    def test_an_image_that_was_changed(self, posix_firmware: Path, tmp_path: Path) -> None:
        """Is not the one that was built."""
        folder = Path(shutil.copytree(posix_firmware, tmp_path / "changed"))
        (folder / "firmware.elf").write_bytes(b"\x7fELF")
        with pytest.raises(UsageError, match="is not the file that was built"):
            load_image(folder)


def test_every_port_is_a_target_or_this_machine() -> None:
    """What is built for a board is measured as that board."""
    names = {port.target for port in PORTS}
    assert names - {"posix"} <= set(catalog.targets().names())


@pytest.mark.parametrize("kind", sorted(PROJECTS))
def test_a_project(kind: str, negated: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Holds the model, the harness, one port and how to build it; a folder in use is left alone."""
    out = tmp_path / "project"
    argv = ["firmware", "export", str(negated.path), "--for", kind, "-o", str(out), "--board", "my-board"]
    assert main(argv) == 0
    assert "README.md" in capsys.readouterr().out
    sources = out / PROJECTS[kind].sources
    names = {path.name for path in sources.iterdir()}
    assert {"model.c", "model.h", "edgekit_config.h", "edgekit_run.c", "edgekit_board.h"} <= names
    assert len([name for name in names if name.startswith("hal_")]) == 1
    assert negated.id in (sources / "edgekit_config.h").read_text()
    assert '"my-board"' in (sources / "edgekit_board.h").read_text()
    assert "edgekit bench" in (out / "README.md").read_text()
    assert main(argv) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.peer
def test_running_until_it_is_interrupted(posix_firmware: Path) -> None:
    """`firmware run` says where it answers, and ends with what it started."""
    number = free_port()
    argv = [sys.executable, "-m", "edgekit", "firmware", "run", str(posix_firmware), "--port", str(number)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"serial:socket://127.0.0.1:{number} ")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


@pytest.mark.peer
def test_a_port_that_is_taken(posix_firmware: Path) -> None:
    """Is said before anything is started there."""
    with (
        running(posix_firmware) as (url, _),
        pytest.raises(DeviceError, match="in use"),
        running(posix_firmware, int(url.rpartition(":")[2])),
    ):
        pass
