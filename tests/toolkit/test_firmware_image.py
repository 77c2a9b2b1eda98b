"""What an image is, is seen by what is in it."""

import struct
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.firmware_image import read_image

UF2_STARTS = (0x0A324655, 0x9E5D5157)


def elf(*segments: tuple[int, bytes], machine: int = 40) -> bytes:
    """A 32-bit ELF file with segments at physical addresses."""
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0, 52, 0, 0, 52, 32, len(segments), 0, 0, 0)
    place, table, content = 52 + 32 * len(segments), b"", b""
    for address, data in segments:
        table += struct.pack("<8I", 1, place + len(content), address, address, len(data), len(data), 5, 4)
        content += data
    return header + table + content


def uf2(*blocks: tuple[int, bytes], family: int = 0xE48BFF56) -> bytes:
    """A UF2 file of blocks of 256 bytes."""
    made = b""
    for number, (address, data) in enumerate(blocks):
        head = struct.pack("<8I", *UF2_STARTS, 0x2000, address, len(data), number, len(blocks), family)
        made += head + data.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)
    return made


HEX = b":020000040800F2\r\n:0400000001020304F2\r\n:0400100005060708D2\r\n:00000001FF\r\n"

ESP = struct.pack("<BBBBIBBBBHBHHB", 0xE9, 1, 2, 0x20, 0x40380000, 0, 0, 0, 0, 5, 0, 0, 99, 0) + bytes(100)


class TestSeen:
    def test_elf(self, tmp_path: Path) -> None:
        """Its loadable segments by physical address, and the machine."""
        path = tmp_path / "firmware"
        path.write_bytes(elf((0x08000100, b"bb"), (0x08000000, b"a" * 16)))
        found = read_image(path)
        assert (found.format, found.machine, found.address, found.end, found.size) == (
            "elf",
            "arm",
            0x08000000,
            0x08000102,
            18,
        )
        assert found.flat() == b"a" * 16 + b"\xff" * 0xF0 + b"bb"

    def test_hex(self, tmp_path: Path) -> None:
        """Addresses above 64 KiB, holes between records."""
        path = tmp_path / "firmware.bin"
        path.write_bytes(HEX)
        found = read_image(path)
        assert (found.format, found.address, found.end) == ("hex", 0x08000000, 0x08000014)
        assert found.flat() == bytes([1, 2, 3, 4]) + b"\xff" * 12 + bytes([5, 6, 7, 8])

    def test_uf2(self, tmp_path: Path) -> None:
        """With the family of the chip."""
        path = tmp_path / "firmware"
        path.write_bytes(uf2((0x10000000, b"a" * 256), (0x10000100, b"b" * 256)))
        found = read_image(path)
        assert (found.format, found.family, found.size) == ("uf2", 0xE48BFF56, 512)

    def test_espressif(self, tmp_path: Path) -> None:
        """With the chip that its header names."""
        path = tmp_path / "firmware"
        path.write_bytes(ESP)
        assert (read_image(path).format, read_image(path).chip) == ("esp", "esp32c3")

    def test_anything_else_is_bytes(self, tmp_path: Path) -> None:
        """Which say neither what they are nor where they go."""
        path = tmp_path / "firmware.hex"
        path.write_bytes(b"\xe9 a file that begins as an Espressif image does")
        assert (read_image(path).format, read_image(path).address) == ("bin", None)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (elf(), "holds nothing to flash"),
        (elf((0, b"a" * 100))[:-1], "segment 0 ends after the file does"),
        (elf((0, b"a" * 100), (50, b"b")), "two parts both have bytes for address 0x32"),
        (b"\x7fELF\x01\x02", "big-endian"),
        (b"\x7fELF\x01\x01", "is broken"),
        (HEX.replace(b"F2\r", b"F3\r"), "line 1 has a wrong checksum"),
        (HEX[:30], "line 2 is"),
        (HEX[:38], "no end record"),
        (uf2((0, b"a"), (1, b"b"))[:-1], "it is cut"),
        (uf2((0, b"a"), (1, b"b"))[:512], "says that it has 2 blocks, and has 1"),
        (uf2((0, b"a"))[:-4] + bytes(4), "block 0 has not UF2's magic numbers"),
    ],
)
def test_a_broken_one_is_refused_with_the_reason(content: bytes, cause: str, tmp_path: Path) -> None:
    """Before any board is touched."""
    path = tmp_path / "firmware"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=cause):
        read_image(path)


def test_parts_in_two_memories_are_not_filled_between(tmp_path: Path) -> None:
    """Flash and RAM lie hundreds of MiB from each other."""
    path = tmp_path / "firmware"
    path.write_bytes(elf((0x08000000, b"a"), (0x20000000, b"b")))
    with pytest.raises(UsageError, match="more than one memory"):
        read_image(path).flat()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Is named."""
    with pytest.raises(UsageError, match="none: No such file"):
        read_image(tmp_path / "none")
