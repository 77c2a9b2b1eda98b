"""`edgekit flash`: what users see, before a board is touched and after."""

import json
import zlib
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit_cli.main import main
from peers.uboot import UBootBoard


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own, with an image."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(bytes(range(256)) * 8)
    return tmp_path


def test_every_method_says_what_it_was_proven_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Or that nobody has seen it on hardware."""
    assert main(["flash", "--list-methods"]) == 0
    words = capsys.readouterr().out
    assert main(["flash", "--list-methods", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in told] == [item.name for item in catalog.flashers()]
    for item in told:
        assert item["evidence"] in words
        assert item["evidence"] == "untested on hardware" or item["name"] in {"ymodem", "avrdude"}


@pytest.mark.parametrize(
    ("argv", "cause", "step"),
    [
        ([], "Say which image", ""),
        (["none.bin"], "Cannot read none.bin", ""),
        (["model.bin"], "tells how to flash it", "--method"),
        (["model.bin", "--method", "ymodm"], "no way to flash called 'ymodm'", "ymodem"),
        (["model.bin", "--method", "ymodem"], "where the board is", "--device serial:"),
        (["model.bin", "--method", "ymodem", "--device", "local:"], "local: is no serial line", "serial:///dev/"),
        (["model.bin", "--method", "ymodem", "--device", "/dev/ttyNONE"], "no /dev/ttyNONE", "plugged in"),
        (["model.bin", "--method", "ymodem", "--device", "/dev/x", "--option", "gone=1"], "no option 'gone'", "go"),
        (["model.bin", "--method", "ymodem", "--device", "/dev/x", "--option", "go"], "has no value", ""),
        (["model.bin", "--method", "ymodem", "--device", "/dev/x", "--option", "go=later"], "is no address", ""),
        (["model.bin", "--method", "ymodem", "--device", "/dev/x", "--option", "fatwrite=m"], "not understood", "mmc"),
        (["model.bin", "--method", "ymodem", "--device", "/dev/x", "--option", "to=me"], "neither u-boot", ""),
        (["model.bin", "--method", "ymodem", "--device", "/dev/x", "--backup", "b"], "cannot read what is", "--backup"),
        (["model.bin", "--method", "ymodem", "--address", "here"], "is no address; write 0x08000000", ""),
    ],
)
def test_what_is_wrong_is_told_with_the_next_step(
    argv: list[str], cause: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, no traceback."""
    assert main(["flash", *argv]) in {2, 3}
    words = capsys.readouterr().err
    assert cause in words
    assert step in words
    assert "Traceback" not in words


@pytest.mark.peer
class TestUBoot:
    def test_words(self, uboot_board: UBootBoard, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Who flashes and why, what was written where, and what proved it; a board of the inventory."""
        assert main(["devices", "add", "router", uboot_board.url]) == 0
        capsys.readouterr()
        assert main(["flash", "model.bin", "--device", "router", "--method", "ymodem", "--option", "to=u-boot"]) == 0
        said = capsys.readouterr()
        crc = zlib.crc32((project / "model.bin").read_bytes())
        assert "flash by ymodem: asked for" in said.err
        assert "model.bin: 2,048 bytes at 0x40200000 of U-Boot 20" in said.out
        assert f"verified: CRC-32 {crc:08x}, computed by U-Boot" in said.out

    def test_for_machines(self, uboot_board: UBootBoard, capsys: pytest.CaptureFixture[str]) -> None:
        """Every figure."""
        argv = ["model.bin", "--device", uboot_board.url, "--method", "ymodem", "--option", "to=u-boot"]
        assert main(["flash", *argv, "--address", "0x42000000", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["method"], told["bytes"], told["address"]) == ("ymodem", 2048, 0x42000000)
