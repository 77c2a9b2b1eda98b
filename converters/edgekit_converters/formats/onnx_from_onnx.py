"""ONNX to ONNX: the file as it is, or quantized; inputs and outputs keep their names."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from edgekit.model import Representation, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors

if TYPE_CHECKING:
    from edgekit_converters.sources.onnx_model import OnnxSource

_OPSET: Final = 13
"""Scales by channel came with it (onnx/docs/Changelog.md, DequantizeLinear-13)."""


class _OnnxFromOnnx:
    name = "onnx-onnx"
    representation: Representation = "onnx"
    format: Format = "onnx"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8", "int4-weight")

    def requires(self, precision: Precision) -> Sequence[Requirement]:  # noqa: ARG002 - the same for each
        """ONNX's own library, and the runtime, which quantizes too."""
        return tuple(Requirement(module=module, extra="onnx") for module in ("onnx", "onnxruntime"))

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:  # noqa: ARG002 - the protocol's
        """None that shows without ONNX's own library."""
        return []

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Tidy up, then quantize."""
        from edgekit_converters.formats.onnx_file import finish
        from edgekit_converters.quantization.onnx import quantized_or_plain

        with progress.step(f"{plan.label}: quantize" if plan.precision != "fp32" else f"{plan.label}: copy"):
            content = finish(_of_today(cast("OnnxSource", source).model))
            made = quantized_or_plain(content, plan, calibration)
        model = out / "model.onnx"
        model.write_bytes(made.content)
        return Converted(
            model=model,
            inputs=source.signature.inputs,
            outputs=source.signature.outputs,
            operators=made.operators,
            quantized=made.share,
            packages=("onnx", "onnxruntime"),
            notes=made.notes,
        )


def _of_today(model: object) -> object:
    """The same in an opset that can be quantized by channel, where ONNX's own library can bring it there."""
    from onnx import version_converter

    opsets = {item.domain: item.version for item in model.opset_import}  # type: ignore[attr-defined]
    return version_converter.convert_version(model, _OPSET) if opsets.get("", _OPSET) < _OPSET else model


CONVERTER: Converter = _OnnxFromOnnx()
