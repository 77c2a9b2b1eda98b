"""Outputs that stay real: ai-edge-quantizer forgets to widen one that another operator reads too, such as a state."""

import copy
from collections.abc import Mapping
from typing import Any


def widen_outputs(quantized: bytes, model: bytes) -> bytes:
    """The quantized model with an operator that widens each output that was real and is an integer now.

    Args:
        quantized: What the quantizer made of it.
        model: The float model; it says which outputs are real, and what the signature calls them.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    before = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    after = flatbuffer_utils.convert_bytearray_to_object(bytearray(quantized))
    narrowed = [
        place
        for place, (was, now) in enumerate(zip(_outputs(before), _outputs(after), strict=True))
        if was.type == schema.TensorType.FLOAT32 != now.type
    ]
    if not narrowed:
        return quantized
    names, entries = _names(before), {entry.name: entry for entry in after.signatureDefs[0].outputs}
    graph = after.subgraphs[0]
    for place in narrowed:
        entry = entries[names[int(before.subgraphs[0].outputs[place])]]
        narrow = next(index for index in (entry.tensorIndex, int(graph.outputs[place])) if _is_made(graph, index))
        entry.tensorIndex = graph.outputs[place] = _widened(schema, after, narrow)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(after))


def _is_made(graph: Any, index: int) -> bool:
    return any(index in operator.outputs for operator in graph.operators)


def _widened(schema: Any, held: Any, narrow: int) -> int:
    """The tensor that holds the real values of another: the quantizer's own, which it leaves unused, or a new one."""
    graph, code = held.subgraphs[0], _code(schema, held)
    for operator in graph.operators:
        if operator.opcodeIndex == code and narrow in operator.inputs:
            return int(operator.outputs[0])
    wide = copy.copy(graph.tensors[narrow])
    wide.type, wide.quantization, wide.name = schema.TensorType.FLOAT32, None, wide.name + b"_real"
    graph.tensors.append(wide)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [narrow], [len(graph.tensors) - 1]
    graph.operators.append(operator)
    return len(graph.tensors) - 1


def _outputs(held: Any) -> list[Any]:
    graph = held.subgraphs[0]
    return [graph.tensors[int(index)] for index in graph.outputs]


def _names(held: Any) -> Mapping[int, bytes]:
    """The signature's name of each output by its tensor."""
    return {int(entry.tensorIndex): entry.name for entry in held.signatureDefs[0].outputs}


def _code(schema: Any, held: Any) -> int:
    """Where the file keeps the operator's code; it is added when it is not there yet."""
    wanted = schema.BuiltinOperator.DEQUANTIZE
    for place, code in enumerate(held.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == wanted:
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = wanted
    code.version = 2
    held.operatorCodes.append(code)
    return len(held.operatorCodes) - 1
