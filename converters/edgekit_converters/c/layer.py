"""What an operator becomes: calls of C kernels with their parameters, and what the memory planner may do with it."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from edgekit_converters.c.graph import Array, Node, Tensor, refusal

Field: TypeAlias = "int | float | tuple[int, ...] | tuple[float, ...] | dict[str, int]"
"""A parameter of a kernel: a number, an array, or a nested struct."""


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """An array that a kernel reads and that the file does not hold as such: a table, multipliers, a folded bias."""

    label: str
    values: Array

    @classmethod
    def of(cls, label: str, tensor: Tensor | None) -> "Constant | None":
        """A constant tensor of the file by what it is to the kernel; None where there is none."""
        return None if tensor is None or tensor.value is None else cls(label=label, values=tensor.value)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a kernel.

    Attributes:
        kernel: The kernel's name: its function, its file, and with `_params` its struct.
        fields: The struct's fields.
        arguments: What it reads, in order behind the struct; None is a null pointer.
        output: What it writes.
    """

    kernel: str
    fields: Mapping[str, Field]
    arguments: tuple[Tensor | Constant | None, ...]
    output: Tensor


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """An operator in C.

    Attributes:
        node: The operator.
        calls: The kernels it calls, in order; none where the bytes stay where they are.
        macs: Multiply-accumulates of one inference.
        in_place: The inputs whose bytes the output may take while they are read, the best first.
        same: The input that the output is, byte for byte; its bytes are shared for good.
    """

    node: Node
    calls: tuple[Call, ...]
    macs: int = 0
    in_place: tuple[Tensor, ...] = ()
    same: Tensor | None = None


Lowering: TypeAlias = Callable[[Node], Layer]

KINDS: Final = {"int8": "int8", "float32": "f32"}
"""The element types that there is arithmetic for, with the suffix of their kernels."""


def kind_of(node: Node, *tensors: Tensor) -> str:
    """The suffix of the kernels for these tensors, which must all be of one type.

    Raises:
        ConversionError: They are not, or there is no arithmetic in that type.
    """
    found = {tensor.dtype for tensor in tensors}
    kind = KINDS.get(next(iter(found))) if len(found) == 1 else None
    if kind is None:
        raise refusal(node, f"there is no kernel for {' and '.join(sorted(found))}")
    if kind == "int8" and not all(tensor.scale for tensor in tensors):
        raise refusal(node, "its int8 tensors have no scale")
    return kind
