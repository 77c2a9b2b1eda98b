"""TFLite files written operator by operator, float32 or int8 (schema: tensorflow/lite/schema/schema.fbs).

In int8 weights are random integers with a scale a channel, and an output's scale lets its values fill most of the
range: what a quantizer would choose, without one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_OPTIONS = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions", "SOFTMAX": "SoftmaxOptions",
    "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "CONCATENATION": "ConcatenationOptions",
    "PAD": "PadOptions", "PADV2": "PadV2Options", "RESHAPE": "ReshapeOptions", "SQUEEZE": "SqueezeOptions",
    "TRANSPOSE": "TransposeOptions", "STRIDED_SLICE": "StridedSliceOptions", "SPLIT": "SplitOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions", "MEAN": "ReducerOptions", "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions", "SHAPE": "ShapeOptions", "CAST": "CastOptions", "ABS": "AbsOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
}  # fmt: skip

SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3
INT32 = 2


class GraphWriter:
    """Collects tensors and operators; `file` writes them."""

    def __init__(self, dtype: Literal["int8", "float32"], seed: int = 0) -> None:
        self.dtype = dtype
        self.rng = np.random.default_rng(seed)
        self._tensors: list[dict[str, Any]] = []
        self._operators: list[tuple[str, list[int], list[int], dict[str, Any]]] = []
        self._inputs: list[int] = []

    def tensor(self, shape: Sequence[int], value: Array | None = None, **more: Any) -> int:
        """A tensor; `scale` and `zero_point` may be lists, one a channel of `axis`."""
        known = {"shape": list(shape), "dtype": self.dtype if value is None else value.dtype.name, "value": value}
        self._tensors.append(known | {"scale": None, "zero_point": 0, "axis": 0} | more)
        return len(self._tensors) - 1

    def input(self, *shape: int, scale: float = 0.05, zero_point: int = 3) -> int:
        """An input of the model."""
        self._inputs.append(self.computed(shape, scale, zero_point))
        return self._inputs[-1]

    def computed(self, shape: Sequence[int], scale: float, zero_point: int = 0) -> int:
        """A tensor that is computed; scaled in int8."""
        if self.dtype == "float32":
            return self.tensor(shape)
        return self.tensor(shape, scale=[scale], zero_point=zero_point)

    def integers(self, *values: int) -> int:
        """A constant of int32: axes, shapes."""
        return self.tensor((len(values),), np.array(values, np.int32))

    def op(self, name: str, inputs: Sequence[int], outputs: int | Sequence[int], **options: Any) -> int:
        """An operator; gives its first output."""
        made = [outputs] if isinstance(outputs, int) else list(outputs)
        self._operators.append((name, list(inputs), made, options))
        return made[0]

    def like(self, source: int, shape: Sequence[int] | None = None) -> int:
        """A computed tensor with the scale of another, of its shape or another."""
        known = self._tensors[source]
        return self.tensor(
            known["shape"] if shape is None else shape, scale=known["scale"], zero_point=known["zero_point"]
        )

    def shape(self, tensor: int) -> list[int]:
        """A tensor's sizes."""
        found: list[int] = self._tensors[tensor]["shape"]
        return found

    def weighted(
        self,
        name: str,
        source: int,
        weights: Sequence[int],
        output: Sequence[int],
        channels: int,
        *,
        axis: int = 0,
        bias: bool = True,
        per_channel: bool = True,
        gain: float = 1.0,
        **options: Any,
    ) -> int:
        """A convolution or a fully connected layer with random weights; `gain` makes its outputs larger."""
        terms = int(np.prod(weights)) // channels
        options.setdefault("fusedActivationFunction", NONE)
        zero = -128 if options["fusedActivationFunction"] else 5
        if self.dtype == "float32":
            value = (gain * self.rng.standard_normal(weights) / terms**0.5).astype(np.float32)
            held = [self.tensor(weights, value)]
            held += [self.tensor((channels,), self.rng.standard_normal(channels).astype(np.float32))] if bias else [-1]
            return self.op(name, [source, *held], self.computed(output, 1.0), **options)
        scales = (gain * self.rng.uniform(0.002, 0.008, channels if per_channel else 1)).astype(np.float32)
        stored = self.rng.integers(-127, 128, weights).astype(np.int8)
        held = [self.tensor(weights, stored, scale=scales.tolist(), zero_point=[0] * len(scales), axis=axis)]
        first = np.float32(self._tensors[source]["scale"][0])
        edge = int(1000 * terms**0.5)
        sums = self.rng.integers(-edge, edge, channels).astype(np.int32)
        held += [self.tensor((channels,), sums, scale=(first * scales).tolist(), zero_point=[0] * len(scales))]
        if not bias:
            held[1] = -1
        spread = gain * float(first) * 0.005 * 73 * 40 * terms**0.5
        return self.op(name, [source, *held], self.computed(output, spread / 30, zero), **options)

    def file(self, *outputs: int) -> bytes:
        """The file with these outputs; inputs are called in0, in1…, outputs out0, out1 and so on."""
        import flatbuffers  # type: ignore[import-untyped]  # generated code has no types
        from ai_edge_litert import schema_py_generated as schema

        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
        graph.tensors = [self._tensor(model, place, item) for place, item in enumerate(self._tensors)]
        graph.operators = [self._operator(model, *item) for item in self._operators]
        graph.inputs, graph.outputs = self._inputs, list(outputs)
        model.subgraphs = [graph]
        definition = schema.SignatureDefT()
        definition.signatureKey, definition.subgraphIndex = "serving_default", 0
        definition.inputs = [_entry(f"in{place}", index) for place, index in enumerate(self._inputs)]
        definition.outputs = [_entry(f"out{place}", index) for place, index in enumerate(outputs)]
        model.signatureDefs = [definition]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, model: Any, place: int, item: Mapping[str, Any]) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = f"layer/t{place}", item["shape"], 0
        tensor.type = getattr(schema.TensorType, item["dtype"].upper())
        if item["scale"] is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = item["scale"]
            zero = item["zero_point"]
            tensor.quantization.zeroPoint = zero if isinstance(zero, list) else [zero]
            tensor.quantization.quantizedDimension = item["axis"]
        if item["value"] is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(item["value"].tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        return tensor

    def _operator(self, model: Any, name: str, inputs: list[int], outputs: list[int], options: dict[str, Any]) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        code = schema.OperatorCodeT()
        code.builtinCode, code.version = getattr(schema.BuiltinOperator, name), _version(name, self.dtype)
        code.deprecatedBuiltinCode = min(127, code.builtinCode)
        model.operatorCodes.append(code)
        one = schema.OperatorT()
        one.opcodeIndex, one.inputs, one.outputs = len(model.operatorCodes) - 1, inputs, outputs
        if name in _OPTIONS:
            one.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[name])
            one.builtinOptions = getattr(schema, f"{_OPTIONS[name]}T")()
            for key, value in options.items():
                setattr(one.builtinOptions, key, value)
        return one


def _version(name: str, dtype: str) -> int:
    """The operator's version from which on it knows int8 (tensorflow/lite/tools/versioning/op_version.cc)."""
    later = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "EXPAND_DIMS": 1, "RESHAPE": 1, "SQUEEZE": 1}
    return later.get(name, 2) if dtype == "int8" else 1


def _entry(name: str, place: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, place
    return entry
