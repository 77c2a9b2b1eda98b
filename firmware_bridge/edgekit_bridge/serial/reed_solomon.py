"""Reed-Solomon blocks over GF(256): 16 bytes of parity put up to 8 wrong bytes of 255 right.

The field is that of x^8 + x^4 + x^3 + x^2 + 1 (0x11d), the generator's roots are a^0 to a^15. A salt before the parity
is chosen so that no byte of the block is zero: zero ends frames.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PARITY: Final = 16
BLOCK: Final = 255
MOST: Final = BLOCK - PARITY - 1
"""The longest content of a block: the salt and the parity take the rest."""

_Bytes = NDArray[np.uint8]


class _Field(NamedTuple):
    """Tables of the field.

    Attributes:
        powers: a^i for i from 0 to 254.
        logarithms: The other way; of 0 it means nothing.
        products: a * b at [a, b].
        remainders: x^(16 + i) modulo the generator at row i, highest coefficient first.
        roots: a^(i * j) at [i, j]: what a byte i places before the end adds to syndrome j.
    """

    powers: _Bytes
    logarithms: NDArray[np.intp]
    products: _Bytes
    remainders: _Bytes
    roots: _Bytes


@cache
def _field() -> _Field:
    powers, logarithms = np.zeros(255, np.uint8), np.zeros(256, np.intp)
    value = 1
    for place in range(255):
        powers[place], logarithms[value] = value, place
        value = (value << 1) ^ (0x11D if value & 0x80 else 0)
    products = powers[(logarithms[:, None] + logarithms[None, :]) % 255].copy()
    products[0, :] = products[:, 0] = 0
    generator = np.zeros(PARITY + 1, np.uint8)
    generator[0] = 1
    for root in range(PARITY):
        generator[1 : root + 2] ^= products[generator[: root + 1], powers[root]]
    remainders = np.zeros((MOST + 1, PARITY), np.uint8)
    remainders[0] = generator[1:]
    for row in range(1, MOST + 1):
        before = remainders[row - 1]
        remainders[row] = np.append(before[1:], np.uint8(0)) ^ products[before[0], generator[1:]]
    exponents = np.arange(BLOCK)[:, None] * np.arange(PARITY)[None, :]
    return _Field(powers, logarithms, products, remainders, powers[exponents % 255])


def protect(content: bytes) -> bytes:
    """A block: the content, a salt and the parity; no byte of it is zero where none of the content's is.

    Args:
        content: Up to `MOST` bytes.
    """
    field = _field()
    symbols = np.frombuffer(content, np.uint8)
    rows = field.remainders[len(symbols) : 0 : -1]
    parity = np.bitwise_xor.reduce(field.products[symbols[:, None], rows], axis=0)
    salted = field.products[np.arange(1, 256)[:, None], field.remainders[0]] ^ parity
    salt = int(np.flatnonzero(salted.all(axis=1))[0])
    return content + bytes([salt + 1, *salted[salt].tolist()])


class Corrected(NamedTuple):
    """The content of a block, and how many of its bytes were wrong."""

    content: bytes
    errors: int


def correct(block: bytes) -> Corrected | None:
    """Put a block right; None when too much of it is wrong."""
    if not PARITY + 1 < len(block) <= BLOCK:
        return None
    field = _field()
    symbols = np.frombuffer(block, np.uint8).copy()
    syndromes = _syndromes(field, symbols)
    errors = 0
    if syndromes.any():
        location = _locator(field, syndromes)
        errors = len(location) - 1
        logs = np.arange(len(symbols))
        exponents = (-logs[:, None] * np.arange(errors + 1)[None, :]) % 255
        values = np.bitwise_xor.reduce(field.products[np.array(location)[None, :], field.powers[exponents]], axis=1)
        places = np.flatnonzero(values == 0)
        if errors > PARITY // 2 or len(places) != errors:
            return None
        for log in places:
            symbols[len(symbols) - 1 - log] ^= _magnitude(field, syndromes, location, int(log))
        if _syndromes(field, symbols).any():
            return None
    return Corrected(symbols[: -PARITY - 1].tobytes(), errors)


def _syndromes(field: _Field, symbols: _Bytes) -> _Bytes:
    rows = field.roots[len(symbols) - 1 :: -1]
    return np.asarray(np.bitwise_xor.reduce(field.products[symbols[:, None], rows], axis=0), np.uint8)


def _locator(field: _Field, syndromes: _Bytes) -> list[int]:
    """Berlekamp and Massey: the polynomial whose roots are the inverse places of the errors, lowest first."""
    current, previous, errors, shift, scale = [1], [1], 0, 1, 1
    for n in range(PARITY):
        discrepancy = int(syndromes[n])
        for i in range(1, min(errors, len(current) - 1) + 1):
            discrepancy ^= int(field.products[current[i], syndromes[n - i]])
        if discrepancy == 0:
            shift += 1
            continue
        factor = int(field.powers[(field.logarithms[discrepancy] - field.logarithms[scale]) % 255])
        grown = current + [0] * max(0, len(previous) + shift - len(current))
        for i, value in enumerate(previous):
            grown[i + shift] ^= int(field.products[factor, value])
        if 2 * errors <= n:
            errors, previous, scale, shift = n + 1 - errors, current, discrepancy, 1
        else:
            shift += 1
        current = grown
    return (current + [0] * PARITY)[: errors + 1]


def _magnitude(field: _Field, syndromes: _Bytes, location: list[int], log: int) -> int:
    """Forney: how wrong the byte is that stands `log` places before the end."""
    inverse = -log % 255
    value = slope = 0
    for i in range(PARITY):
        term = 0
        for j in range(min(i + 1, len(location))):
            term ^= int(field.products[syndromes[i - j], location[j]])
        value ^= int(field.products[term, field.powers[i * inverse % 255]])
    for i in range(1, len(location), 2):
        slope ^= int(field.products[location[i], field.powers[(i - 1) * inverse % 255]])
    if slope == 0:
        return 0
    share = int(field.powers[(field.logarithms[value] - field.logarithms[slope]) % 255]) if value else 0
    return int(field.products[field.powers[log], share])
