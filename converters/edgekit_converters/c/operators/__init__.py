"""The operators that format c computes, and how each is lowered."""

from collections.abc import Mapping
from typing import Final

from edgekit_converters.c.graph import Node, refusal
from edgekit_converters.c.layer import Layer, Lowering
from edgekit_converters.c.operators import arithmetic, elementwise, matrix, movement, windows

LOWERINGS: Final[Mapping[str, Lowering]] = {
    **matrix.LOWERINGS,
    **windows.LOWERINGS,
    **elementwise.LOWERINGS,
    **arithmetic.LOWERINGS,
    **movement.LOWERINGS,
}


def lower(node: Node) -> Layer:
    """An operator in C.

    Raises:
        ConversionError: No kernel is for it.
    """
    if node.op not in LOWERINGS:
        raise refusal(node, "it is none of its operators")
    return LOWERINGS[node.op](node)
