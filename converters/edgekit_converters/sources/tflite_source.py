"""A TFLite model in LiteRT, as a source that artifacts are compared with."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from edgekit.errors import ConversionError, UsageError
from edgekit.model import Signature, TensorSpec
from edgekit.protocols import Array, Tensors
from edgekit_converters.quantization.tflite import SIGNATURE


class TfliteSource:
    """A `LoadedSource` in LiteRT; integers that stand for real numbers go in and come out as real numbers.

    Attributes:
        content: The file, with one signature that calls inputs and outputs as the source does.
        share: How much of it is quantized.
    """

    def __init__(self, content: bytes, inputs: Sequence[TensorSpec], outputs: Sequence[str]) -> None:
        from edgekit.fingerprint import package_version
        from edgekit_converters.formats.tflite_file import tflite_facts

        self.content = content
        self.framework = f"LiteRT {package_version('ai-edge-litert')}"
        facts = tflite_facts(content)
        self.operators: Mapping[str, int] = facts.operators
        self.share = facts.share
        self.notes: Sequence[str] = ()
        # What the C model and TensorFlow Lite Micro are held against: the optimized kernels round differently.
        reference = bool(facts.share.weights or facts.share.operators)
        interpreter = opened(content, "the model", reference=reference)
        self.parameters = sum(
            prod(int(size) for size in item["shape"])
            for item in interpreter.get_tensor_details()
            if len(item["shape"]) and _is_constant(interpreter, item)
        )
        self._interpreter = interpreter if reference else _as_deployed(content, interpreter)
        self._run = self._interpreter.get_signature_runner(SIGNATURE)
        self._into, self._back = (
            {name: detail for name, detail in details.items() if _stands_for_reals(detail)}
            for details in (self._run.get_input_details(), self._run.get_output_details())
        )
        self.signature = Signature(inputs=tuple(inputs), outputs=())
        found = self.run({spec.name: np.zeros([int(size) for size in spec.shape], spec.dtype) for spec in inputs})
        specs = tuple(TensorSpec(name=name, shape=found[name].shape, dtype=found[name].dtype.name) for name in outputs)
        self.signature = Signature(inputs=tuple(inputs), outputs=specs)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name."""
        try:
            names = [spec.name for spec in self.signature.inputs]
            found = self._run(**{name: self._stored(name, inputs[name]) for name in names})
        except (ValueError, RuntimeError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConversionError(
                f"LiteRT cannot execute this model: {first[:300]}", hint="Give the shapes it was made for: --input"
            ) from error
        return {name: self._real(name, np.asarray(value)) for name, value in found.items()}

    def _stored(self, name: str, value: Array) -> Array:
        """Quantized to nearest, ties to even, as the harness does it."""
        if name not in self._into:
            return value
        (scale, zero_point), bounds = self._into[name]["quantization"], np.iinfo(self._into[name]["dtype"])
        stored = np.rint(np.asarray(value, np.float32) / np.float32(scale)) + zero_point
        return np.asarray(np.clip(stored, bounds.min, bounds.max), bounds.dtype)

    def _real(self, name: str, value: Array) -> Array:
        if name not in self._back:
            return value
        scale, zero_point = self._back[name]["quantization"]
        return np.asarray((value.astype(np.int32) - zero_point) * np.float32(scale), np.float32)


def opened(content: bytes, path: str, *, reference: bool = False) -> Any:
    """An interpreter that has verified the file; with LiteRT's reference kernels where they are asked for.

    Raises:
        UsageError: LiteRT does not take it.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(
            f"LiteRT cannot load {path}: {first[:300]}", hint="It may be cut, or need operators that LiteRT lacks."
        ) from error
    return interpreter


def _as_deployed(content: bytes, verified: Any) -> Any:
    """An interpreter that runs the file as LiteRT does by default.

    With XNNPACK: the built-in kernels are less exact (80 dB to ONNX Runtime on a network with a spectrum in it, XNNPACK
    123 on the same).
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        usual = Interpreter(model_content=content)
        usual.allocate_tensors()
    except (ValueError, RuntimeError):  # the delegate takes not every file that LiteRT takes
        return verified
    return usual


def _is_constant(interpreter: Any, detail: Any) -> bool:
    """Whether a tensor's values are in the file: before anything ran, no other has any."""
    edges = {item["index"] for item in (*interpreter.get_input_details(), *interpreter.get_output_details())}
    made = {int(tensor) for node in interpreter._get_ops_details() for tensor in node["outputs"]}  # noqa: SLF001 - there is no public way
    return detail["index"] not in edges | made


def _stands_for_reals(detail: Any) -> bool:
    return np.dtype(detail["dtype"]).kind in "iu" and bool(len(detail["quantization_parameters"]["scales"]))


def spec_of(name: str, detail: Any) -> TensorSpec:
    """A tensor as the interpreter tells of it; a size that it does not know gets a name."""
    sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    shape = tuple(
        int(size) if size > 0 else "batch" if place == 0 else f"dim_{place}" for place, size in enumerate(sizes)
    )
    dtype = "float32" if _stands_for_reals(detail) else np.dtype(detail["dtype"]).name
    return TensorSpec(name=name, shape=shape, dtype=dtype)
