"""The checksum of POSIX's `cksum`, which every board has (POSIX.1-2017, XCU cksum)."""

from typing import Final

_POLYNOMIAL: Final = 0x04C11DB7


def _entry(index: int) -> int:
    value = index << 24
    for _ in range(8):
        value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE: Final = tuple(map(_entry, range(256)))


def cksum(data: bytes) -> int:
    """CRC-32 with the most significant bit first, the length after the data, complemented."""
    crc, table = 0, _TABLE
    size = len(data)
    for byte in data + size.to_bytes((size.bit_length() + 7) // 8, "little"):
        crc = (crc << 8) & 0xFFFFFFFF ^ table[crc >> 24 ^ byte]
    return crc ^ 0xFFFFFFFF
