"""A TFLite file to C source, with what it will take on the device."""

import hashlib
from collections.abc import Mapping, Sequence

from edgekit.artifact import Footprint, LayerWork
from edgekit.errors import ConversionError
from edgekit.model import TensorSpec
from edgekit_converters.c.graph import Graph, Node, Tensor, read_graph
from edgekit_converters.c.memory import plan_memory
from edgekit_converters.c.operators import lower
from edgekit_converters.c.source import Program, Source, write_source


def compile_tflite(
    content: bytes, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], name: str = "model"
) -> tuple[Source, Footprint]:
    """Compile a TFLite file.

    Args:
        content: The file.
        inputs: The source's inputs: what the C model calls its own.
        outputs: The same for the outputs.
        name: What the C model calls itself.

    Raises:
        ConversionError: There is no kernel for an operator; names it and its layer.
    """
    graph = read_graph(content)
    layers = [lower(node) for node in graph.nodes]
    constant = next((tensor for tensor in graph.outputs if tensor.value is not None), None)
    if constant is not None or not any(layer.calls for layer in layers):
        raise ConversionError("There is nothing to compute in this model: it has no layer that changes anything.")
    memory = plan_memory(graph, layers)
    program = Program(
        name=name,
        id=hashlib.sha256(content).hexdigest(),
        layers=tuple(layer for layer in layers if layer.calls),
        memory=memory,
        inputs=_named(graph, graph.inputs, inputs),
        outputs=_named(graph, graph.outputs, outputs),
    )
    source = write_source(program)
    return source, Footprint(
        weight_bytes=source.weight_bytes,
        arena_bytes=memory.bytes,
        layers=tuple(_work(layer.node, layer.macs) for layer in program.layers),
    )


def layer_work(graph: Graph) -> tuple[LayerWork, ...]:
    """Every layer with its multiply-accumulates; none where format c does not know the operator."""
    return tuple(_work(node, _macs(node)) for node in graph.nodes)


def _macs(node: Node) -> int:
    try:
        return lower(node).macs
    except ConversionError:
        return 0


def _work(node: Node, macs: int) -> LayerWork:
    return LayerWork(name=node.name, operator=node.op, macs=macs)


def _named(graph: Graph, tensors: Sequence[Tensor], specs: Sequence[TensorSpec]) -> tuple[tuple[str, Tensor], ...]:
    """The file's tensors with the source's names, found as the harness finds them."""
    names: Mapping[str, str] = {
        key: spec.name for spec in specs for key in (f"serving_default_{spec.name}:0", spec.name, spec.binding) if key
    }
    by_place = {int(spec.binding): spec.name for spec in specs if spec.binding.isdigit()}
    found = []
    for place, tensor in enumerate(tensors):
        own = graph.names[tensor.index]
        name = names.get(own) or by_place.get(place) or (specs[0].name if len(specs) == 1 else "")
        if not name:
            raise ConversionError(f"The TFLite file calls an input or output {own!r}, which the source does not know.")
        found.append((name, tensor))
    return tuple(found)
