"""Float TFLite files, executed by LiteRT: to quantize them, or to check and measure them as they are."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgekit.errors import UsageError
from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
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

    def is_quantized(self, model: SourceModel) -> bool:
        """Whether it is int8 already, so that there is nothing to calibrate."""
        return is_quantized(Path(model.path))

    def load(self, model: SourceModel) -> LoadedSource:
        """Have LiteRT verify and load it; inputs and outputs keep the names of the signature, else of the tensors."""
        from edgekit_converters.sources.tflite_source import TfliteSource, opened, spec_of

        content = Path(model.path).read_bytes()
        opened(content, model.path)  # verifies it: what reads it below trusts its offsets
        names, signed = _signed(content, model)
        interpreter = opened(signed, model.path)
        known = [spec_of(names[detail["index"]], detail) for detail in interpreter.get_input_details()]
        inputs = resolve_inputs([spec.name for spec in known], model.inputs, known)
        return TfliteSource(signed, inputs, [names[item["index"]] for item in interpreter.get_output_details()])


def is_quantized(path: Path) -> bool:
    """Whether a file computes on integers already, or keeps its weights as such; False for one that is damaged."""
    from edgekit_converters.formats.tflite_file import tflite_facts

    try:
        share = tflite_facts(path.read_bytes()).share
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error):
        return False  # whoever loads the file says what is wrong with it
    return share.weights > 0 or share.operators > 0


def already_quantized(model: SourceModel) -> Sequence[Objection]:
    """What speaks against quantizing a file that is quantized, or calling it float."""
    if model.kind != "tflite" or not is_quantized(Path(model.path)):
        return []
    cause = f"{model.path} is quantized already."
    hint = (
        "Give the float model it was made of: what quantization took cannot be brought back. Formats c and tflm take "
    )
    return [Objection(cause=cause, hint=f"{hint}it as it is: --format c --precision int8")]


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


READER: SourceReader = _TfliteReader()
