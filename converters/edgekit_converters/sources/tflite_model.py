"""Float TFLite files, executed by LiteRT: to quantize them, or to check and measure them as they are."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.errors import ConversionError, UsageError
from edgekit.model import Representation, Signature, SourceKind, SourceModel, TensorSpec
from edgekit.plan import Objection
from edgekit.protocols import Array, LoadedSource, Requirement, SourceReader, Tensors
from edgekit_converters.quantization.tflite import SIGNATURE
from edgekit_converters.sources.inputs import resolve_inputs

_IDENTIFIER: Final = slice(4, 8)
"""Where a flatbuffer says what it is: `TFL3` (tensorflow/lite/schema/schema.fbs)."""


class _TfliteReader:
    name = "tflite"
    kinds: Sequence[SourceKind] = ("tflite",)
    representation: Representation = "tflite"
    requires: Sequence[Requirement] = (Requirement(module="ai_edge_litert", extra="tflite"),)
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """It must say that it is one."""
        with Path(model.path).open("rb") as file:
            if file.read(8)[_IDENTIFIER] == b"TFL3":
                return []
        return [Objection(cause=f"{model.path} is no TFLite file: it does not say so.", hint="Convert it anew.")]

    def load(self, model: SourceModel) -> LoadedSource:
        """Have LiteRT verify and load it; inputs and outputs keep the names of the signature, else of the tensors."""
        content = Path(model.path).read_bytes()
        _opened(content, model.path)  # verifies it: what reads it below trusts its offsets
        _check_float(content, model.path)
        names, signed = _signed(content, model)
        interpreter = _opened(signed, model.path)
        known = [_spec(names[detail["index"]], detail) for detail in interpreter.get_input_details()]
        inputs = resolve_inputs([spec.name for spec in known], model.inputs, known)
        return TfliteSource(signed, inputs, [names[item["index"]] for item in interpreter.get_output_details()])


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
        interpreter = _opened(content, "the model")
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


def _opened(content: bytes, path: str) -> Any:
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


def _check_float(content: bytes, path: str) -> None:
    from edgekit_converters.formats.tflite_file import tflite_facts

    share = tflite_facts(content).share
    if share.weights or share.operators:
        raise UsageError(
            f"{path} is quantized already ({share.weights:.0%} of its weights).",
            hint="Give the float model it was made of: what quantization took cannot be brought back.",
        )


def _signed(content: bytes, model: SourceModel) -> tuple[dict[int, str], bytes]:
    """Names by tensor, and the file with the one signature that quantizers and harnesses go by.

    Raises:
        UsageError: It has several signatures and none is named, or not this one, or it cannot stand alone.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    held = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    chosen = _chosen(held, model)
    if len(held.subgraphs) > 1:
        _keep_alone(held, chosen.subgraphIndex if chosen else 0, model, schema)
    graph = held.subgraphs[0]
    names = {int(index): _text(graph.tensors[index].name) for index in (*graph.inputs, *graph.outputs)}
    for entries in (chosen.inputs, chosen.outputs) if chosen else ():
        names |= {entry.tensorIndex: _text(entry.name) for entry in entries}
    own = schema.SignatureDefT()
    own.signatureKey, own.subgraphIndex = SIGNATURE, 0
    own.inputs, own.outputs = (
        [_entry(schema, names, index) for index in part] for part in (graph.inputs, graph.outputs)
    )
    held.signatureDefs = [own]
    return names, bytes(flatbuffer_utils.convert_object_to_bytearray(held))


def _chosen(held: Any, model: SourceModel) -> Any:
    """The signature that is meant; None where there are none."""
    by_key = {_text(item.signatureKey): item for item in held.signatureDefs or ()}
    if model.signature in by_key:
        return by_key[model.signature]
    if not model.signature and len(by_key) <= 1:
        return next(iter(by_key.values()), None)
    said = f"no signature {model.signature!r}" if model.signature else "several signatures"
    raise UsageError(
        f"{model.path} has {said}; it has {', '.join(by_key) or 'none'}.",
        hint=f"Name one of them: --signature {next(iter(by_key))}" if by_key else "Leave --signature out.",
    )


def _keep_alone(held: Any, place: int, model: SourceModel, schema: Any) -> None:
    """Leave the other subgraphs out, which belong to other signatures, unless one is called as a branch or a body."""
    calls = {schema.BuiltinOperator.IF, schema.BuiltinOperator.WHILE, schema.BuiltinOperator.CALL_ONCE}
    graph = held.subgraphs[place]
    used = {max(held.operatorCodes[item.opcodeIndex].builtinCode, 0) for item in graph.operators}
    if not used & calls:
        held.subgraphs = [graph]
    elif place:
        raise UsageError(
            f"The signature {model.signature!r} of {model.path} has branches or loops, and is not the file's first.",
            hint="Save it in a file of its own.",
        )


def _entry(schema: Any, names: Mapping[int, str], index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = names[int(index)], int(index)
    return entry


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _spec(name: str, detail: Any) -> TensorSpec:
    sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    shape = tuple(
        int(size) if size > 0 else "batch" if place == 0 else f"dim_{place}" for place, size in enumerate(sizes)
    )
    return TensorSpec(name=name, shape=shape, dtype=np.dtype(detail["dtype"]).name)


READER: SourceReader = _TfliteReader()
