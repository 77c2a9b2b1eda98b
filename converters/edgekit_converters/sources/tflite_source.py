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
    """A `LoadedSource` in LiteRT.

    Attributes:
        content: The file, with one signature that calls inputs and outputs as the source does.
    """

    def __init__(self, content: bytes, inputs: Sequence[TensorSpec], outputs: Sequence[str]) -> None:
        from edgekit.fingerprint import package_version
        from edgekit_converters.formats.tflite_file import tflite_facts

        self.content = content
        self.framework = f"LiteRT {package_version('ai-edge-litert')}"
        self.operators: Mapping[str, int] = tflite_facts(content).operators
        self.notes: Sequence[str] = ()
        interpreter = opened(content, "the model")
        self.parameters = sum(
            prod(int(size) for size in item["shape"])
            for item in interpreter.get_tensor_details()
            if len(item["shape"]) and _is_constant(interpreter, item)
        )
        self._run = interpreter.get_signature_runner(SIGNATURE)
        self._interpreter = interpreter
        self.signature = Signature(inputs=tuple(inputs), outputs=())
        found = self.run({spec.name: np.zeros([int(size) for size in spec.shape], spec.dtype) for spec in inputs})
        specs = tuple(TensorSpec(name=name, shape=found[name].shape, dtype=found[name].dtype.name) for name in outputs)
        self.signature = Signature(inputs=tuple(inputs), outputs=specs)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name."""
        try:
            found = self._run(**{spec.name: inputs[spec.name] for spec in self.signature.inputs})
        except (ValueError, RuntimeError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConversionError(
                f"LiteRT cannot execute this model: {first[:300]}", hint="Give the shapes it was made for: --input"
            ) from error
        return {name: np.asarray(value) for name, value in found.items()}


def opened(content: bytes, path: str) -> Any:
    """An interpreter that has verified the file.

    Raises:
        UsageError: LiteRT does not take it.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(
            f"LiteRT cannot load {path}: {first[:300]}", hint="It may be cut, or need operators that LiteRT lacks."
        ) from error
    return interpreter


def _is_constant(interpreter: Any, detail: Any) -> bool:
    """Whether a tensor's values are in the file: before anything ran, no other has any."""
    edges = {item["index"] for item in (*interpreter.get_input_details(), *interpreter.get_output_details())}
    made = {int(tensor) for node in interpreter._get_ops_details() for tensor in node["outputs"]}  # noqa: SLF001 - there is no public way
    return detail["index"] not in edges | made


def spec_of(name: str, detail: Any) -> TensorSpec:
    """A tensor as the interpreter tells of it; a size that it does not know gets a name."""
    sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    shape = tuple(
        int(size) if size > 0 else "batch" if place == 0 else f"dim_{place}" for place, size in enumerate(sizes)
    )
    return TensorSpec(name=name, shape=shape, dtype=np.dtype(detail["dtype"]).name)
