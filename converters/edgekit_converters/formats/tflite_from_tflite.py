"""TFLite to TFLite: the float file as it is, or quantized; inputs and outputs keep their names."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors
from edgekit_converters.sources.tflite_model import already_quantized

if TYPE_CHECKING:
    from edgekit_converters.sources.tflite_source import TfliteSource


class _TfliteFromTflite:
    name = "tflite-tflite"
    representation: Representation = "tflite"
    format: Format = "tflite"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8", "int16x8", "int4-weight")

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """LiteRT, and the quantizer where there is something to quantize."""
        quantizer = () if precision == "fp32" else (Requirement(module="ai_edge_quantizer", extra="litert-torch"),)
        return (Requirement(module="ai_edge_litert", extra="tflite"), *quantizer)

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:  # noqa: ARG002 - the protocol's
        """It must be float."""
        return already_quantized(model)

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Copy, or quantize."""
        from edgekit_converters.formats.tflite_file import integer_signature, tflite_facts
        from edgekit_converters.quantization.tflite import quantize_tflite

        content = cast("TfliteSource", source).content
        if plan.precision != "fp32":
            with progress.step(f"{plan.label}: quantize"):
                content = quantize_tflite(content, plan, calibration)
        model = out / "model.tflite"
        model.write_bytes(content)
        facts = tflite_facts(content)
        signature = integer_signature(content, source.signature) if plan.io_type == "int8" else source.signature
        if plan.precision != "fp32" and not facts.share.weights:
            raise ConversionError(f"{plan.label} would change nothing: the model has no weights.", hint="Use fp32.")
        return Converted(
            model=model,
            inputs=signature.inputs,
            outputs=signature.outputs,
            operators=facts.operators,
            quantized=None if plan.precision == "fp32" else facts.share,
            packages=("ai-edge-litert", "ai-edge-quantizer"),
        )


CONVERTER: Converter = _TfliteFromTflite()
