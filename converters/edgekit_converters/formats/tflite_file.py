"""Facts of a TFLite file, read from the flatbuffer itself (schema: tensorflow/lite/schema/schema.fbs)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final

import msgspec

from edgekit.artifact import QuantizedShare
from edgekit.model import Quantization, Signature, TensorSpec

_COMPUTE: Final = {
    "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D", "FULLY_CONNECTED", "BATCH_MATMUL", "LSTM",
    "UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF",
}  # fmt: skip
"""Operators that hold weights and do the arithmetic."""

_FLOAT32: Final = "FLOAT32"
_INTEGERS: Final = {"INT8", "UINT8", "INT16", "INT4"}
_MATRIX: Final = 2
"""Constants of fewer dimensions are biases and shapes, not weights."""


class _Tensor(msgspec.Struct, frozen=True):
    type: str
    elements: int
    dimensions: int
    constant: bool


class _Operator(msgspec.Struct, frozen=True):
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class TfliteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The first subgraph's operators with their counts, and how much of the model is not float32."""

    operators: dict[str, int]
    share: QuantizedShare


def tflite_facts(content: bytes) -> TfliteFacts:
    """Read operators and tensors of a flatbuffer that a converter has just written."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    types = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
    graph = model.Subgraphs(0)
    tensors = [_tensor(model, graph.Tensors(place), types) for place in range(graph.TensorsLength())]
    operators = list(_operators(model, graph, names))
    share = QuantizedShare(weights=_weight_share(tensors), operators=_operator_share(operators, tensors))
    return TfliteFacts(operators=dict(sorted(Counter(item.name for item in operators).items())), share=share)


def integer_signature(content: bytes, signature: Signature) -> Signature:
    """The signature as a file of integer inputs and outputs has it: their element types, scales and zero points.

    Args:
        content: The file; its signature calls inputs and outputs as `signature` does.
        signature: The source's. What is no real number there, or stays one in the file, is left as it is.
    """
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content).get_signature_runner()
    inputs, outputs = (
        tuple(_stored(spec, details[spec.name]) for spec in specs)
        for specs, details in (
            (signature.inputs, runner.get_input_details()),
            (signature.outputs, runner.get_output_details()),
        )
    )
    return Signature(inputs=inputs, outputs=outputs)


def _stored(spec: TensorSpec, detail: Any) -> TensorSpec:
    found = detail["quantization_parameters"]
    dtype = detail["dtype"].__name__
    if spec.dtype == dtype or not len(found["scales"]):
        return spec
    held = Quantization(
        scale=tuple(float(scale) for scale in found["scales"]),
        zero_point=tuple(int(zero) for zero in found["zero_points"]),
        axis=int(found["quantized_dimension"]),
    )
    return msgspec.structs.replace(spec, dtype=dtype, quantization=held)


def rename_inputs(content: bytes, names: Mapping[str, str]) -> bytes:
    """The file with other names for inputs of its signatures.

    Args:
        content: The flatbuffer.
        names: New names by the ones there are.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    held = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for signature in held.signatureDefs:
        for entry in signature.inputs:
            entry.name = names.get(entry.name.decode(), entry.name.decode())
    return bytes(flatbuffer_utils.convert_object_to_bytearray(held))


def _tensor(model: Any, tensor: Any, types: dict[int, str]) -> _Tensor:
    shape = tensor.ShapeAsNumpy().tolist() if tensor.ShapeLength() else []
    buffer = model.Buffers(tensor.Buffer())
    constant = buffer.DataLength() > 0 or buffer.Size() > 1  # large data may lie behind the flatbuffer (`offset`)
    return _Tensor(types[tensor.Type()], prod(shape), len(shape), constant)


def _operators(model: Any, graph: Any, names: dict[int, str]) -> Iterator[_Operator]:
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        code = model.OperatorCodes(operator.OpcodeIndex())
        # Codes over 126 do not fit the deprecated byte-sized field that older readers use.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        inputs = tuple(operator.InputsAsNumpy().tolist()) if operator.InputsLength() else ()
        outputs = tuple(operator.OutputsAsNumpy().tolist()) if operator.OutputsLength() else ()
        yield _Operator(names[builtin], inputs, outputs)


def _weight_share(tensors: list[_Tensor]) -> float:
    kinds = {_FLOAT32, "FLOAT16", *_INTEGERS}  # paddings and masks are int32 and bool
    weights = [item for item in tensors if item.constant and item.dimensions >= _MATRIX and item.type in kinds]
    reduced = sum(item.elements for item in weights if item.type != _FLOAT32)
    return reduced / max(1, sum(item.elements for item in weights))


def _operator_share(operators: list[_Operator], tensors: list[_Tensor]) -> float:
    computing = [item for item in operators if item.name in _COMPUTE]
    integer = [item for item in computing if tensors[item.inputs[0]].type in _INTEGERS]
    return len(integer) / max(1, len(computing))
