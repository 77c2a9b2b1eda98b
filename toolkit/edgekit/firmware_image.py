"""Firmware images, told apart by what is in them: ELF, Intel HEX, UF2, an Espressif image, or plain bytes.

The formats: ELF (TIS ELF specification 1.2), Intel HEX (Intel, Hexadecimal Object File Format Specification, 1988), UF2
(github.com/microsoft/uf2), Espressif's application image (ESP-IDF, esp_app_format.h).
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from edgekit.errors import UsageError

ImageFormat: TypeAlias = Literal["bin", "elf", "hex", "uf2", "esp"]

LIMIT_BYTES: Final = 1 << 28
"""Larger files are no firmware: the largest boards that are flashed over a line hold a few MiB."""

GAP_BYTES: Final = 1 << 24
"""The widest hole between two segments that is filled: beyond, an image has parts in two memories."""

MACHINES: Final = {40: "arm", 83: "avr", 94: "xtensa", 183: "aarch64", 243: "riscv"}
"""By ELF's e_machine (gabi, Machine)."""

ESP_CHIPS: Final = {
    0: "esp32",
    2: "esp32s2",
    5: "esp32c3",
    9: "esp32s3",
    12: "esp32c2",
    13: "esp32c6",
    16: "esp32h2",
    18: "esp32p4",
    23: "esp32c5",
    20: "esp32c61",
}
"""By the image header's chip_id (ESP-IDF, esp_app_format.h: esp_chip_id_t)."""

_UF2_STARTS: Final = (0x0A324655, 0x9E5D5157)
_UF2_END: Final = 0x0AB16F30
_UF2_BLOCK: Final = 512
_UF2_NOT_MAIN_FLASH: Final = 0x1
_UF2_HAS_FAMILY: Final = 0x2000
_ESP_MAGIC: Final = 0xE9
_ESP_MOST_SEGMENTS: Final = 16
_PT_LOAD: Final = 1


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes and where they go; `address` is None for plain bytes, which do not say."""

    address: int | None
    data: bytes


class FirmwareImage(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be flashed.

    Attributes:
        path: The file.
        format: What it is, by its content.
        segments: What it holds, by rising address.
        sha256: Of the file.
        machine: The processor family that it names (`arm`, `avr`, `xtensa`); empty when it names none.
        chip: The chip that it names (`esp32c3`); empty when it names none.
        family: UF2's family id; None when it has none.
    """

    path: Path
    format: ImageFormat
    segments: tuple[Segment, ...]
    sha256: str
    machine: str = ""
    chip: str = ""
    family: int | None = None

    @property
    def size(self) -> int:
        """How much it brings, without holes."""
        return sum(len(segment.data) for segment in self.segments)

    @property
    def address(self) -> int | None:
        """Where it begins; None when it does not say."""
        return self.segments[0].address

    @property
    def end(self) -> int | None:
        """The address after its last byte; None when it does not say."""
        last = self.segments[-1]
        return None if last.address is None else last.address + len(last.data)

    def flat(self, fill: int = 0xFF) -> bytes:
        """All of it in one piece from `address` on, holes filled with `fill` (what erased flash reads).

        Raises:
            UsageError: A hole is wider than `GAP_BYTES`.
        """
        content = bytearray()
        for segment in self.segments:
            hole = (segment.address or 0) - (self.address or 0) - len(content)
            if hole > GAP_BYTES:
                raise UsageError(
                    f"{self.path} has parts {hole:,} bytes from each other, which is more than one memory.",
                    hint="Link it for flash alone: arm-none-eabi-objcopy -O binary -j .text … writes one part.",
                )
            content += bytes([fill]) * hole + segment.data
        return bytes(content)


def read_image(path: Path) -> FirmwareImage:
    """Read a firmware image, whatever its name ends with.

    Raises:
        UsageError: It cannot be read, is empty or too large, or is a broken file of its format: what and where.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LIMIT_BYTES else b""
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from None
    if size > LIMIT_BYTES:
        raise UsageError(f"{path} has {size:,} bytes, and firmware at most {LIMIT_BYTES:,}.")
    if not content:
        raise UsageError(f"{path} is empty.", hint="Was it built, and copied whole?")
    parse = next((parse for test, parse in _FORMATS if test(content)), _plain)
    try:
        found = parse(path, content)
    except (struct.error, ValueError) as error:
        raise UsageError(
            f"{path} begins as firmware does, and is broken: {error}.", hint="Build or copy it again."
        ) from None
    if not found.size:
        raise UsageError(f"{path} holds nothing to flash.", hint="An object file (.o) must be linked first.")
    return found


def _made(path: Path, format_: ImageFormat, content: bytes, segments: Iterable[Segment]) -> FirmwareImage:
    ordered = sorted((item for item in segments if item.data), key=lambda item: item.address or 0)
    joined: list[Segment] = []
    for item in ordered:
        before = joined[-1] if joined else None
        end = -1 if before is None or before.address is None else before.address + len(before.data)
        if before and item.address is not None and item.address < end:
            raise ValueError(f"two parts both have bytes for address {item.address:#x}")
        if before and item.address == end:
            joined[-1] = Segment(address=before.address, data=before.data + item.data)
        else:
            joined.append(item)
    return FirmwareImage(path=path, format=format_, segments=tuple(joined), sha256=hashlib.sha256(content).hexdigest())


def _plain(path: Path, content: bytes) -> FirmwareImage:
    return _made(path, "bin", content, [Segment(address=None, data=content)])


def _elf(path: Path, content: bytes) -> FirmwareImage:
    if content[5] != 1:
        raise ValueError("it is big-endian, and the boards that edgekit flashes are not")
    wide = content[4] == 2  # noqa: PLR2004 - ELFCLASS64
    machine = struct.unpack_from("<H", content, 18)[0]
    (start,) = struct.unpack_from("<Q" if wide else "<I", content, 32 if wide else 28)
    each, count = struct.unpack_from("<HH", content, 54 if wide else 42)
    segments = []
    for number in range(count):
        place = start + number * each
        if wide:
            kind, _, offset, _, physical, size = struct.unpack_from("<IIQQQQ", content, place)
        else:
            kind, offset, _, physical, size = struct.unpack_from("<IIIII", content, place)
        if kind == _PT_LOAD and size:
            if offset + size > len(content):
                raise ValueError(f"segment {number} ends after the file does")
            segments.append(Segment(address=physical, data=content[offset : offset + size]))
    made = _made(path, "elf", content, segments)
    return msgspec.structs.replace(made, machine=MACHINES.get(machine, ""))


def _hex(path: Path, content: bytes) -> FirmwareImage:
    base, pieces, ended = 0, [], False
    for number, line in enumerate(content.split(), 1):
        try:
            record = bytes.fromhex(line.decode("ascii").removeprefix(":"))
        except ValueError:
            raise ValueError(f"line {number} is no record") from None
        if line[:1] != b":" or len(record) != record[0] + 5:
            raise ValueError(f"line {number} is cut")
        if sum(record) & 0xFF:
            raise ValueError(f"line {number} has a wrong checksum")
        kind, offset, data = record[3], int.from_bytes(record[1:3], "big"), record[4:-1]
        if kind == 0:
            pieces.append((base + offset, data))
        elif kind == 1:
            ended = True
        elif kind in {2, 4}:
            base = int.from_bytes(data, "big") << (4 if kind == 2 else 16)  # noqa: PLR2004 - the record's type
    if not ended:
        raise ValueError("it has no end record: the file is cut")
    return _made(path, "hex", content, _joined(pieces))


def _joined(pieces: Sequence[tuple[int, bytes]]) -> list[Segment]:
    """Pieces of a few bytes each as segments, in time that grows as their number does."""
    runs: list[tuple[int, bytearray]] = []
    for address, data in sorted(pieces):
        if runs and runs[-1][0] + len(runs[-1][1]) == address:
            runs[-1][1].extend(data)
        else:
            runs.append((address, bytearray(data)))
    return [Segment(address=address, data=bytes(data)) for address, data in runs]


def _uf2(path: Path, content: bytes) -> FirmwareImage:
    if len(content) % _UF2_BLOCK:
        raise ValueError(f"its {len(content)} bytes are no whole number of {_UF2_BLOCK}-byte blocks: it is cut")
    pieces, families = [], set()
    total = struct.unpack_from("<I", content, 24)[0]
    if total * _UF2_BLOCK != len(content):
        raise ValueError(f"it says that it has {total} blocks, and has {len(content) // _UF2_BLOCK}")
    for place in range(0, len(content), _UF2_BLOCK):
        start, second, flags, address, size, _, _, family = struct.unpack_from("<8I", content, place)
        if (start, second) != _UF2_STARTS or struct.unpack_from("<I", content, place + 508)[0] != _UF2_END:
            raise ValueError(f"block {place // _UF2_BLOCK} has not UF2's magic numbers")
        if size > 476:  # noqa: PLR2004 - what a block has room for
            raise ValueError(f"block {place // _UF2_BLOCK} claims {size} bytes")
        if flags & _UF2_HAS_FAMILY:
            families.add(family)
        if not flags & _UF2_NOT_MAIN_FLASH:
            pieces.append((address, content[place + 32 : place + 32 + size]))
    made = _made(path, "uf2", content, _joined(pieces))
    return msgspec.structs.replace(made, family=families.pop() if len(families) == 1 else None)


def _esp(path: Path, content: bytes) -> FirmwareImage:
    """An Espressif image goes to flash as it is; its own segments are what the chip's loader reads from there."""
    chip = ESP_CHIPS.get(struct.unpack_from("<H", content, 12)[0], "")
    made = _made(path, "esp", content, [Segment(address=None, data=content)])
    return msgspec.structs.replace(made, chip=chip)


def _is_esp(content: bytes) -> bool:
    """Its magic is one byte, so its header must make sense too: 1 to 16 segments, and a flash mode that exists."""
    known = len(content) > 24 and content[0] == _ESP_MAGIC  # noqa: PLR2004 - the header's size
    return known and 1 <= content[1] <= _ESP_MOST_SEGMENTS and content[2] <= 5  # noqa: PLR2004 - esp_image_spi_mode_t


_FORMATS: Final = (
    (lambda content: content.startswith(b"\x7fELF"), _elf),
    (lambda content: content.startswith(b":") and content[1:9].isalnum(), _hex),
    (lambda content: content.startswith(struct.pack("<2I", *_UF2_STARTS)), _uf2),
    (_is_esp, _esp),
)
