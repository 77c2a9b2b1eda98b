"""C source text: numbers, arrays, strings, comments."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from edgekit_converters.c.graph import Array
from edgekit_converters.c.layer import Field

C_TYPES: Final = {
    "int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
    "int64": "int64_t", "float32": "float", "bool": "uint8_t",
}  # fmt: skip
"""What C calls NumPy's element types."""

_WIDTH: Final = 112


def array(name: str, values: Array, *, storage: str = "static ", alignment: int = 4) -> str:
    """A constant array; it is the file's own unless `storage` is empty. Needs the macro EDGEKIT_ALIGN."""
    flat = np.ravel(values)
    numbers = [number(float(item)) if flat.dtype.kind == "f" else str(int(item)) for item in flat]
    body = "\n".join(f"    {line}" for line in _lines(numbers))
    return f"{storage}const {C_TYPES[flat.dtype.name]} {name}[{len(flat)}] EDGEKIT_ALIGN({alignment}) = {{\n{body}\n}};"


def _lines(words: Iterable[str]) -> Iterable[str]:
    line = ""
    for word in words:
        if len(line) + len(word) > _WIDTH:
            yield line.rstrip()
            line = ""
        line += f"{word}, "
    yield line.rstrip()


def number(value: float) -> str:
    """A float32 that is read back to the bit."""
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{np.float32(value):.9g}"
    return f"{text if set(text) & set('.e') else f'{text}.0'}f"


def fields(values: Mapping[str, Field]) -> str:
    """The initializer of a struct."""
    return "{" + ", ".join(f".{name} = {_field(value)}" for name, value in values.items()) + "}"


def _field(value: Field) -> str:
    if isinstance(value, dict):
        return fields(dict(value))
    if isinstance(value, tuple):
        return "{" + ", ".join(_field(item) for item in value) + "}"
    if isinstance(value, float):
        return number(value)
    return "INT32_MIN" if value == np.iinfo(np.int32).min else str(int(value))


def string(value: str) -> str:
    """A string literal in ASCII."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"  # noqa: PLR2004 - printable ASCII
        for byte in value.encode()
    )
    return f'"{plain}"'


def comment(value: str) -> str:
    """A comment that its own content cannot end."""
    return f"/* {' '.join(value.replace('*/', '* /').replace('/*', '/ *').split())} */"
