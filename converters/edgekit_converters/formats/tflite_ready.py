"""TFLite as a step on the way to formats for microcontrollers: made of the source, or the source as it is."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edgekit.model import SourceModel
from edgekit.plan import ConversionPlan, Objection
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Tensors
from edgekit_converters.sources.tflite_model import is_quantized


def objections_to(converter: Converter, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:
    """What speaks against a step to TFLite; a file that is quantized already is taken as it is, and says what it is."""
    if model.kind != "tflite" or not is_quantized(Path(model.path)):
        return converter.objections(model, plan)
    if plan.precision != "int8":
        return [Objection(cause=f"{model.path} is quantized already.", hint="Take it as it is: --precision int8")]
    if plan.io_type != "float32":
        cause = f"The inputs and outputs of {model.path} are what they are: it is quantized already."
        return [Objection(cause=cause, hint="Leave --io-type out.")]
    return []


def as_tflite(  # noqa: PLR0917 - what a converter is given
    converter: Converter,
    source: LoadedSource,
    plan: ConversionPlan,
    calibration: Callable[[], Iterable[Tensors]],
    out: Path,
    progress: Progress,
) -> Converted:
    """Convert to TFLite, or copy what is quantized already.

    Raises:
        ConversionError: See `Converter.convert`.
    """
    from edgekit_converters.formats.tflite_file import integer_signature
    from edgekit_converters.sources.tflite_source import TfliteSource

    if not isinstance(source, TfliteSource) or not (source.share.weights or source.share.operators):
        return converter.convert(source, plan, calibration, out, progress)
    model = out / "model.tflite"
    model.write_bytes(source.content)
    signature = integer_signature(source.content, source.signature)
    return Converted(
        model=model,
        inputs=signature.inputs,
        outputs=signature.outputs,
        operators=dict(source.operators),
        quantized=source.share,
        packages=("ai-edge-litert",),
        notes=("The source was quantized already; it was taken as it is.",),
    )
