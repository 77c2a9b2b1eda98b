"""Which layer of a PyTorch model a converter's complaint is about."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource

_OPERATOR: Final = re.compile(r"\b(?:aten|prims|quantized)(?:\.|::)(\w+)")
"""An operator's name as PyTorch, its exporters and litert-torch write it."""

_LINE: Final = re.compile(r'File "([^"]+)", line (\d+), in \w+\s*\n\s*(.+)')
_NOT_USERS: Final = ("/site-packages/", "/dist-packages/", "<")
_MOST: Final = 3


def layers_to_blame(source: "TorchSource", complaint: str) -> str:
    """The layers that use the operators which a complaint names, or the line that it quotes; empty where none is."""
    names = set(_OPERATOR.findall(complaint))
    layers = tuple(dict.fromkeys(_using(source, names))) if names else ()
    if layers:
        more = f" and {len(layers) - _MOST} more" if len(layers) > _MOST else ""
        return f"used by {', '.join(layers[:_MOST])}{more}"
    lines = [found for found in _LINE.findall(complaint) if not any(part in found[0] for part in _NOT_USERS)]
    if lines and "edgekit" not in lines[-1][0]:
        file, number, text = lines[-1]
        return f"{file.rpartition('/')[2]} line {number}: {text.strip()}"
    return ""


def _using(source: "TorchSource", names: set[str]) -> Iterator[str]:
    """Paths of the modules whose part of the exported graph, or of what it decomposes into, has these operators."""
    try:
        program = source.exported()
        yield from _in_graph(program.graph, names)
        yield from _in_graph(program.run_decompositions().graph, names)
    except Exception:  # noqa: BLE001 - it is the model that cannot be converted; nothing is known of it then
        return


def _in_graph(graph: Any, names: set[str]) -> Iterator[str]:
    for node in graph.nodes:
        name = getattr(node.target, "_opname", "")
        stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        if name in names and stack:
            # The outermost module of an exported program is what edgekit calls the model through.
            path = stack[-1].removeprefix("module").removeprefix(".").removeprefix("L['self'].module.")
            yield f"{path or 'the model itself'} ({_kind(node)})"


def _kind(node: Any) -> str:
    kind = list(node.meta["nn_module_stack"].values())[-1][1]
    return str(getattr(kind, "__name__", kind)).rpartition(".")[2]
