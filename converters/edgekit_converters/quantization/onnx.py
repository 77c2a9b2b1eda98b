"""Post-training quantization of a float ONNX model, by ONNX Runtime's tools and, where they do badly, by our own.

Inputs and outputs stay float. What was measured (ONNX Runtime 1.32, x86-64 with VNNI, one thread, in turns):

- fp16: weights as halves that are widened when the model is loaded, 80 dB at fp32's latency. Arithmetic in half
  precision, which CPUs mostly emulate by casts, is 3 to 32 % slower and less exact (75 dB).
- dynamic-int8: on integers where it pays, which is matrix products and LSTMs (a transformer 2.1 ms for 4.4, an LSTM .7
  for 2.0). Convolutions on integers are 7 to 15 times slower than in float: they keep float arithmetic, with weights
  that are widened when the model is loaded (fp32's latency, 51 dB), and not at each inference as by `DequantizeLinear`
  (.9 ms for .36).
- int8: weights symmetric per channel, activations unsigned (signed ones are up to 2.3 times slower), ranges the least
  and greatest value seen. Softmax and normalization are left in float: 3 to 5 % faster and a little more exact in
  transformers, and all the same elsewhere. Ranges need not be reduced to 7 bits: the dot products of Arm and of VNNI do
  not saturate (onnxruntime.ai, "Quantize ONNX models").
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgekit.artifact import QuantizedShare
from edgekit.errors import ConversionError
from edgekit.plan import CalibrationMethod as Method
from edgekit.plan import ConversionPlan, Precision
from edgekit.protocols import Array, Tensors
from edgekit_converters.formats.onnx_file import MATRIX, SCALES, finish, onnx_facts, split_linear

_IN_FLOAT: Final = {"Softmax", "LayerNormalization", "InstanceNormalization", "EmbedLayerNormalization", "Where"}
"""Operators that ONNX Runtime would quantize, and that are better left."""

_HALF_MAX: Final = 65504.0
"""The largest half-precision number (IEEE 754, binary16)."""

_INT8_MAX: Final = 127.0

_BLOCK: Final = 32
"""How many 4-bit weights share a scale: of what ONNX Runtime's kernels take, 32 keeps most (ContribOperators.md)."""

_METHODS: Final[Mapping[Method, str]] = {
    "min-max": "MinMax",
    "percentile": "Percentile",
    "entropy": "Entropy",
}
"""What ONNX Runtime calls them (`onnxruntime.quantization.CalibrationMethod`)."""

_WEIGHTS: Final[Mapping[str, Sequence[int]]] = {
    "Conv": (1,), "ConvTranspose": (1,), "Gemm": (1,), "MatMul": (1,), "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2),
}  # fmt: skip
"""Which inputs of an operator are weights."""

Quantized = tuple[bytes, tuple[str, ...]]
"""The file's bytes, and notes for the manifest."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An ONNX file in the precision that was asked for, with what `Converted` says of it."""

    content: bytes
    operators: dict[str, int]
    share: QuantizedShare | None
    notes: tuple[str, ...]


def quantized_or_plain(content: bytes, plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> Made:
    """A float ONNX model in the plan's precision.

    Raises:
        ConversionError: The quantizer refuses the model, or finds nothing in it.
    """
    import onnx

    notes: tuple[str, ...] = ()
    if plan.precision != "fp32":
        content, notes = quantize_onnx(content, plan, calibration)
    facts = onnx_facts(onnx.load_from_string(content))
    if plan.precision == "fp32":
        return Made(content=content, operators=facts.operators, share=None, notes=notes)
    if not facts.share.weights:
        raise ConversionError(f"{plan.label} would change nothing: the model has no weights.", hint="Use fp32.")
    return Made(content=content, operators=facts.operators, share=facts.share, notes=notes)


def quantize_onnx(content: bytes, plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> Quantized:
    """Quantize a float ONNX model.

    Args:
        content: The file's bytes.
        plan: Says the precision, anything but fp32, and which layers compute in float (int8 only).
        calibration: Gives a pass over the samples, by the model's input names (int8 only).

    Raises:
        ConversionError: The quantizer refuses the model.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _RECIPES[plan.precision](content, Path(folder), calibration, plan)
    except ConversionError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConversionError(
            f"ONNX Runtime cannot make {plan.precision} of this model: {first[:300]}",
            hint="Try --precision fp16 or fp32.",
        ) from error


def _half(content: bytes, _folder: Path, _calibration: object, _plan: ConversionPlan) -> Quantized:
    import onnx

    model = onnx.load_from_string(content)
    notes = _halve_weights(model.graph)
    return finish(model), notes


def _halve_weights(graph: Any) -> tuple[str, ...]:
    """Store in half precision what is still a float weight: widened when the model is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for item in graph.initializer:
        if item.data_type != TensorProto.FLOAT or len(item.dims) < MATRIX or item.name.endswith(SCALES):
            continue
        value, name = numpy_helper.to_array(item), item.name
        if np.abs(value).max(initial=0.0) <= _HALF_MAX:
            item.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    _put_first(graph, casts)
    return ("Weights in half precision, arithmetic in float32: half the size, fp32's latency.",)


def _dynamic(content: bytes, folder: Path, _calibration: object, _plan: ConversionPlan) -> Quantized:
    import onnx

    _prepare(content, folder / "plain.onnx")
    _quantize_dynamic(folder / "plain.onnx", folder / "dynamic.onnx", ["MatMul", "LSTM", "Gather"])
    model = onnx.load(str(folder / "dynamic.onnx"))
    notes = _hold_weights(model.graph)
    return finish(model), notes


def _static(
    content: bytes, folder: Path, calibration: Callable[[], Iterable[Tensors]], plan: ConversionPlan
) -> Quantized:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    _prepare(content, folder / "plain.onnx")
    _own_biases(folder / "plain.onnx")
    start = folder / "plain.onnx"
    if any(node.op_type == "LSTM" for node in onnx.load(str(start)).graph.node):
        start = folder / "lstm.onnx"  # which has no static form
        _quantize_dynamic(folder / "plain.onnx", start, ["LSTM"])
    quantize_static(
        str(start),
        str(folder / "static.onnx"),
        _Reader(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - _IN_FLOAT),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[_METHODS[plan.calibration_method or "min-max"]],
        nodes_to_exclude=_named(start, plan.float_layers),
        calibration_providers=["CPUExecutionProvider"],
    )
    model = onnx.load(str(folder / "static.onnx"))
    notes = _halve_weights(model.graph) if plan.wide_weights else _hold_weights(model.graph)
    return finish(model), notes


def _four_bits(content: bytes, folder: Path, _calibration: object, _plan: ConversionPlan) -> Quantized:
    import logging

    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    _prepare(content, folder / "plain.onnx")
    model = onnx.load(str(folder / "plain.onnx"))
    split_linear(model.graph)
    work = MatMulNBitsQuantizer(model, bits=4, block_size=_BLOCK, is_symmetric=True)
    work.process()
    model = work.model.model
    if not any(node.op_type == "MatMulNBits" for node in model.graph.node):
        raise ConversionError(
            "onnx int4-weight would change nothing: the model has no matrix product with a constant.",
            hint="Use --precision int8 (with --calibration): it quantizes convolutions too.",
        )
    notes = (f"Matrix products: weights int4 in blocks of {_BLOCK}.", *_hold_weights(model.graph))
    return finish(model), notes


def _own_biases(file: Path) -> None:
    """Give each layer a bias of its own, where several share one.

    ONNX Runtime (1.32) does so too, by a number behind the name, and takes no heed of a tensor that has that name.
    """
    import onnx

    model = onnx.load(str(file))
    stored = {item.name: item for item in model.graph.initializer}
    seen: set[str] = set()
    for place, node in enumerate(model.graph.node):
        name = node.input[2] if node.op_type in {"Conv", "ConvTranspose", "Gemm"} and len(node.input) > 2 else ""  # noqa: PLR2004 - value, weight, bias
        if name in seen:
            own = model.graph.initializer.add()
            own.CopyFrom(stored[name])
            own.name = node.input[2] = f"{name}_of_node_{place}"
        elif name in stored:
            seen.add(name)
    if seen:
        onnx.save(model, str(file))


def _named(file: Path, outputs: Sequence[str]) -> list[str]:
    """The names of the nodes that have these outputs; nodes without one get a name, which the file then holds."""
    import onnx

    if not outputs:
        return []
    model = onnx.load(str(file))
    for place, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{place}"
    onnx.save(model, str(file))
    return [node.name for node in model.graph.node if set(node.output) & set(outputs)]


_RECIPES: Final[Mapping[Precision, Callable[..., Quantized]]] = {
    "fp16": _half,
    "dynamic-int8": _dynamic,
    "int8": _static,
    "int4-weight": _four_bits,
}


class _Reader:
    """Hands calibration samples to ONNX Runtime one by one (`onnxruntime.quantization.CalibrationDataReader`)."""

    def __init__(self, calibration: Callable[[], Iterable[Tensors]]) -> None:
        self._calibration = calibration
        self._left: Iterator[Tensors] = iter(calibration())

    def get_next(self) -> dict[str, Array] | None:
        """The next sample, None behind the last."""
        sample = next(self._left, None)
        return None if sample is None else dict(sample)

    def rewind(self) -> None:
        """Begin anew."""
        self._left = iter(self._calibration())


def _prepare(content: bytes, plain: Path) -> None:
    """Fold batch normalization and constants; every shape is fixed, so no symbolic inference."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    exported = plain.with_name("exported.onnx")
    exported.write_bytes(content)  # given in memory, quant_pre_process of 1.32 loses the weights
    quant_pre_process(str(exported), str(plain), skip_symbolic_shape=True)


def _quantize_dynamic(plain: Path, out: Path, kinds: Sequence[str]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(plain), str(out), op_types_to_quantize=list(kinds), per_channel=True, weight_type=QuantType.QInt8
    )


def _hold_weights(graph: Any) -> tuple[str, ...]:
    """Store as int8 what is still a float weight: widened, `Cast` and `Mul`, when the model is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    stored = {item.name: item for item in graph.initializer if item.data_type == TensorProto.FLOAT}
    widen, kinds = [], []
    for node in graph.node:
        for place in _WEIGHTS.get(node.op_type, ()):
            item = stored.pop(node.input[place], None)
            if item is None or len(item.dims) < MATRIX:
                continue
            name = item.name
            integers, scale = _symmetric(numpy_helper.to_array(item), _reduced_axes(node, len(item.dims)))
            item.CopyFrom(numpy_helper.from_array(integers, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}{SCALES}"))
            widen.append(helper.make_node("Cast", [f"{name}_int8"], [f"{name}_wide"], to=TensorProto.FLOAT))
            widen.append(helper.make_node("Mul", [f"{name}_wide", f"{name}{SCALES}"], [name]))
            kinds.append(node.op_type)
    _put_first(graph, widen)
    names = ", ".join(dict.fromkeys(kinds))
    return (f"{names}: weights int8, arithmetic in float32.",) if names else ()


def _reduced_axes(node: Any, rank: int) -> tuple[int, ...]:
    """The axes of a weight that share a scale: all but that of the output channel."""
    if node.op_type in {"Conv", "ConvTranspose"}:
        channel = 0 if node.op_type == "Conv" else 1
        return tuple(axis for axis in range(rank) if axis != channel)
    turned = any(item.name == "transB" and item.i for item in node.attribute)
    return (rank - 2,) if node.op_type == "MatMul" or (node.op_type == "Gemm" and not turned) else (rank - 1,)


def _symmetric(value: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Symmetric int8 by channel, without -128, as the TFLite 8-bit specification has it: integers and scales."""
    greatest = np.abs(value).max(axis=axes, keepdims=True)
    scale = np.where(greatest > 0, greatest / _INT8_MAX, 1.0).astype(np.float32)
    return np.rint(value / scale).astype(np.int8), scale


def _put_first(graph: Any, nodes: Sequence[Any]) -> None:
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
