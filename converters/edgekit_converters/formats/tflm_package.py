"""Anything to TensorFlow Lite Micro by way of TFLite: the same file, packaged for firmware."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgekit.artifact import Footprint
from edgekit.model import Representation, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors
from edgekit_converters.formats.c_source import first_unknown
from edgekit_converters.formats.tflite_ready import as_tflite, objections_to

_SPARE: Final = 1 << 20
"""An arena of all tensors side by side and this much more holds whatever the interpreter keeps beside them."""


class PackagedForMicro:
    """A converter to format `tflm` on top of one to TFLite."""

    format: Format = "tflm"
    precisions: Sequence[Precision] = ("fp32", "int8")

    def __init__(self, to_tflite: Converter) -> None:
        self.name = f"tflm-{to_tflite.name}"
        self.representation: Representation = to_tflite.representation
        self._to_tflite = to_tflite

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """What the way to TFLite needs, and TensorFlow Lite Micro for this host, which measures the arena."""
        return (
            *self._to_tflite.requires(precision),
            Requirement(module="ai_edge_litert", extra="tflite"),
            Requirement(module="tflite_micro", extra="tflm"),
        )

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:
        """Those to TFLite; and of a TFLite file, the first operator that TensorFlow Lite Micro has not got."""
        from edgekit_converters.tflm.package import method_of

        found = objections_to(self._to_tflite, model, plan)
        if found or model.kind != "tflite":
            return found
        unknown = first_unknown(Path(model.path), lambda op: method_of(op) is not None)
        if unknown is None:
            return []
        cause = f"TensorFlow Lite Micro has no operator {unknown[0]} (layer {unknown[1]!r})."
        return [Objection(cause=cause, hint="Replace it in the model, or use format tflite.")]

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Convert to TFLite, write the array and the operators beside it, measure the arena."""
        from edgekit_converters.c.compile import layer_work
        from edgekit_converters.c.graph import read_graph
        from edgekit_converters.tflm.arena import measure_arena
        from edgekit_converters.tflm.package import model_header, model_source, operators_header

        made = as_tflite(self._to_tflite, source, plan, calibration, out, progress)
        content = made.model.read_bytes()
        operators = operators_header(made.operators)
        with progress.step(f"{plan.label}: measure the arena"):
            graph = read_graph(content)
            tensors = [*graph.inputs, *(tensor for node in graph.nodes for tensor in node.outputs)]
            enough = 2 * sum(tensor.bytes for tensor in tensors) + len(content) + _SPARE
            arena = measure_arena(made.model, len(graph.inputs), enough)
        (out / "model.c").write_text(model_source(content))
        (out / "model.h").write_text(model_header(len(content), arena))
        (out / "ops.h").write_text(operators)
        footprint = Footprint(weight_bytes=len(content), arena_bytes=arena, layers=layer_work(graph))
        return msgspec.structs.replace(made, footprint=footprint, packages=(*made.packages, "tflite-micro"))
