"""Keras and SavedModel to TFLite, by TensorFlow's own converter; it quantizes too."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel
from edgekit.plan import CALIBRATED, ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors
from edgekit_converters.formats.tflite_file import integer_signature, tflite_facts

if TYPE_CHECKING:
    from edgekit_converters.sources.tensorflow_source import TensorflowSource


class _TfliteFromTensorflow:
    name = "tflite-converter"
    representation: Representation = "tensorflow"
    format: Format = "tflite"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8", "int16x8", "int4-weight")

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """TensorFlow, LiteRT to check the result, and for 4 bits the quantizer, since TensorFlow's has 8."""
        four = (Requirement(module="ai_edge_quantizer", extra="litert-torch"),) if precision == "int4-weight" else ()
        return (
            Requirement(module="tensorflow", extra="tensorflow"),
            Requirement(module="ai_edge_litert", extra="tflite"),
            *four,
        )

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:  # noqa: ARG002 - the protocol's
        """It quantizes whole models only."""
        if plan.max_drop is None:
            return []
        cause = "TensorFlow's own converter leaves no layer in float: it cannot keep to an accuracy budget."
        hint = "Convert to fp32 first, and then that file: edgekit convert NET.edgekit/model.tflite --max-drop …"
        return [Objection(cause=cause, hint=hint)]

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Save one signature of fixed shapes, so that names survive, and convert that."""
        held = cast("TensorflowSource", source)
        with progress.step(f"{plan.label}: convert with TFLiteConverter"), tempfile.TemporaryDirectory() as folder:
            content = _convert(held, plan, calibration, folder)
        if plan.precision == "int4-weight":
            from edgekit_converters.quantization.tflite import quantize_tflite

            with progress.step(f"{plan.label}: quantize"):
                content = quantize_tflite(content, plan, calibration)
        model = out / "model.tflite"
        model.write_bytes(content)
        facts = tflite_facts(content)
        signature = integer_signature(content, source.signature) if plan.io_type == "int8" else source.signature
        return Converted(
            model=model,
            inputs=signature.inputs,
            outputs=signature.outputs,
            operators=facts.operators,
            quantized=None if plan.precision == "fp32" else facts.share,
            packages=("tensorflow", "keras", "ai-edge-litert"),
        )


def _convert(
    source: "TensorflowSource", plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]], folder: str
) -> bytes:
    import tensorflow as tf

    try:
        source.save(folder, source.function)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        _configure(converter, plan, calibration)
        return bytes(converter.convert())
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        cause = next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)
        raise ConversionError(
            f"TFLiteConverter cannot make {plan.precision} of this model: {cause[:300]}",
            hint="The operator it names has no TFLite kernel; replace it, or fix its shapes (unroll a loop).",
        ) from error


def _configure(converter: Any, plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> None:
    import tensorflow as tf

    if plan.precision in {"fp32", "int4-weight"}:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if plan.precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if plan.io_type == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if plan.precision in CALIBRATED:
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8 if plan.precision == "int8" else wide]

        def samples() -> Iterator[dict[str, Any]]:
            # By name: given by position, two inputs were mixed up (measured with TensorFlow 2.21).
            yield from (dict(sample) for sample in calibration())

        converter.representative_dataset = samples


CONVERTER: Converter = _TfliteFromTensorflow()
