"""A TFLite file as plain data: its tensors with their constants, and its operators in the order they run.

Shapes are those that LiteRT infers, so that what a converter left open is known; operators whose inputs never change
(`SHAPE`, arithmetic on shapes, constants that are dequantized) are computed here and leave constants.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConversionError

Array: TypeAlias = NDArray[Any]

_ABSENT: Final = -1
"""How the schema says that an optional input is not there."""


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor.

    Attributes:
        index: Its place in the file.
        name: What the converter called it.
        shape: Its sizes.
        dtype: NumPy's name of the element type.
        scale: Scales of its quantization, one or one a channel; empty when its numbers are what they are.
        zero_point: Zero points, as many as scales.
        value: What a constant holds; None for what is computed.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    value: Array | None

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.elements * np.dtype(self.dtype).itemsize


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One operator: its name in the schema, its tensors (None where an optional one is absent), its options."""

    op: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What people know it by: the name of what it makes."""
        return self.outputs[0].name

    def input(self, place: int) -> Tensor:
        """An input that must be there."""
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is None:
            raise refusal(self, f"its input {place} is absent")
        return found

    def optional(self, place: int) -> Tensor | None:
        """An input that may be absent."""
        return self.inputs[place] if place < len(self.inputs) else None

    def constant(self, place: int) -> Array:
        """The value of an input that must not change."""
        found = self.input(place)
        if found.value is None:
            raise refusal(self, f"its input {place} is computed while the model runs; it must be a constant")
        return found.value


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """The file: its operators, and its inputs and outputs with the names that its signature gives them."""

    nodes: tuple[Node, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    names: Mapping[int, str]


def refusal(node: Node, reason: str) -> ConversionError:
    """What is raised for an operator that no kernel is for."""
    return ConversionError(
        f"Format c cannot compute {node.op} (layer {node.name!r}): {reason}.",
        hint="Format tflite takes it; see docs/microcontrollers.md for what format c computes.",
    )


def read_graph(content: bytes) -> Graph:
    """The first subgraph of a TFLite file that a converter has just written.

    Raises:
        ConversionError: A tensor's size is not known before the model runs.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    operators = [(_op(model, item), item) for item in graph.operators]
    steady = _steady(model, graph, operators)
    interpreter = _interpreter(content, invoke=bool(steady))
    every = {int(detail["index"]): detail for detail in interpreter.get_tensor_details()}
    details = {index: every[index] for index in range(len(graph.tensors)) if index in every}  # kernels add their own
    held = _constants(model, graph) | steady
    values = {index: np.asarray(interpreter.get_tensor(index)) for index in held if index in details}
    tensors = {index: _tensor(graph.tensors[index], details[index], values.get(index)) for index in details}
    nodes = [_node(op, item, tensors) for op, item in operators if not _indices(item.outputs) <= steady]
    return Graph(
        nodes=tuple(nodes),
        inputs=tuple(tensors[int(index)] for index in graph.inputs),
        outputs=tuple(tensors[int(index)] for index in graph.outputs),
        names={int(index): _text(graph.tensors[int(index)].name) for index in (*graph.inputs, *graph.outputs)}
        | _signed(model),
    )


def operator_names(content: bytes) -> Iterator[tuple[str, str]]:
    """Every operator that runs, with the name of what it makes, read without LiteRT's interpreter.

    Raises:
        Exception: Whatever reading a damaged file gives.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    operators = [(_op(model, item), item) for item in graph.operators]
    steady = _steady(model, graph, operators)
    for op, item in operators:
        if not _indices(item.outputs) <= steady:
            yield op, _text(graph.tensors[int(item.outputs[0])].name)


def _op(model: Any, operator: Any) -> str:
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex]
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    found = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return found if found != "CUSTOM" else f"custom operator {_text(code.customCode)}"


def _constants(model: Any, graph: Any) -> set[int]:
    return {
        place
        for place, tensor in enumerate(graph.tensors)
        if model.buffers[tensor.buffer].data is not None and len(model.buffers[tensor.buffer].data)
    }


def _steady(model: Any, graph: Any, operators: Sequence[tuple[str, Any]]) -> set[int]:
    """The tensors that no input of the model changes, though an operator makes them."""
    found, known = set[int](), _constants(model, graph)
    for op, item in operators:
        inputs = _indices(item.inputs)
        if item.outputs is not None and (op == "SHAPE" or (inputs and inputs <= known | found)):
            found |= _indices(item.outputs)
    return found


def _indices(places: Any) -> set[int]:
    return {int(place) for place in (() if places is None else places) if place != _ABSENT}


def _interpreter(content: bytes, *, invoke: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=invoke,
        )
        interpreter.allocate_tensors()
        if invoke:
            interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConversionError(f"LiteRT cannot load this model: {first[:300]}") from error
    return interpreter


def _tensor(tensor: Any, detail: Any, value: Array | None) -> Tensor:
    parameters = detail["quantization_parameters"]
    return Tensor(
        index=int(detail["index"]),
        name=_text(tensor.name),
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]).name,
        scale=tuple(float(item) for item in parameters["scales"]),
        zero_point=tuple(int(item) for item in parameters["zero_points"]),
        value=value,
    )


def _node(op: str, operator: Any, tensors: Mapping[int, Tensor]) -> Node:
    options = {} if operator.builtinOptions is None else vars(operator.builtinOptions)
    inputs = tuple(None if place == _ABSENT else tensors[int(place)] for place in operator.inputs)
    return Node(op=op, inputs=inputs, outputs=tuple(tensors[int(place)] for place in operator.outputs), options=options)


def _signed(model: Any) -> dict[int, str]:
    """The names that the first signature gives to inputs and outputs."""
    found = next(iter(model.signatureDefs or ()), None)
    if found is None or found.subgraphIndex:
        return {}
    return {int(entry.tensorIndex): _text(entry.name) for part in (found.inputs, found.outputs) for entry in part}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
