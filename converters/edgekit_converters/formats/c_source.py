"""Anything to C by way of TFLite: the TFLite converter of the same source, and its file compiled."""

import struct
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgekit.model import Representation, SourceModel, TensorSpec
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors
from edgekit_converters.formats.tflite_ready import as_tflite, objections_to

MODEL: Final = "model.c"
HEADER: Final = "model.h"

_DAMAGED: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error, MemoryError)
"""What reading a damaged flatbuffer gives."""


class CompiledToC:
    """A converter to format `c` on top of one to TFLite."""

    format: Format = "c"
    precisions: Sequence[Precision] = ("fp32", "int8")

    def __init__(self, to_tflite: Converter) -> None:
        self.name = f"c-{to_tflite.name}"
        self.representation: Representation = to_tflite.representation
        self._to_tflite = to_tflite

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """What the way to TFLite needs, and LiteRT to read its file."""
        return (*self._to_tflite.requires(precision), Requirement(module="ai_edge_litert", extra="tflite"))

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:
        """Those to TFLite; and of a TFLite file, the first operator that there is no kernel for."""
        found = objections_to(self._to_tflite, model, plan)
        return found if found or model.kind != "tflite" else _unknown_operators(Path(model.path))

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Convert to TFLite, compile that, keep the source text."""
        from edgekit_converters.c.compile import compile_tflite

        with tempfile.TemporaryDirectory() as folder:
            made = as_tflite(self._to_tflite, source, plan, calibration, Path(folder), progress)
            content = made.model.read_bytes()
        with progress.step(f"{plan.label}: compile to C"):
            written, footprint = compile_tflite(content, made.inputs, made.outputs, out.name)
        (out / HEADER).write_text(written.header)
        (out / MODEL).write_text(written.code)
        return msgspec.structs.replace(
            made,
            model=out / MODEL,
            inputs=_unbound(made.inputs),
            outputs=_unbound(made.outputs),
            footprint=footprint,
        )


def _unbound(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The tensors without the TFLite file's names for them: `model.c` calls them as the source does."""
    return tuple(msgspec.structs.replace(spec, binding="") for spec in specs)


def _unknown_operators(path: Path) -> Sequence[Objection]:
    from edgekit_converters.c.operators import LOWERINGS

    unknown = first_unknown(path, LOWERINGS.__contains__)
    if unknown is None:
        return []
    cause = f"Format c cannot compute {unknown[0]} (layer {unknown[1]!r})."
    hint = "Format tflite takes it; see docs/microcontrollers.md for what format c computes."
    return [Objection(cause=cause, hint=hint)]


def first_unknown(path: Path, known: Callable[[str], bool]) -> tuple[str, str] | None:
    """The first operator of a TFLite file that is not known, with its layer; None for a file that cannot be read."""
    from edgekit_converters.c.graph import operator_names

    try:
        return next(((op, layer) for op, layer in operator_names(path.read_bytes()) if not known(op)), None)
    except _DAMAGED:
        return None  # whoever loads the file says what is wrong with it
