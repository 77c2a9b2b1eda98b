"""PyTorch to ONNX: torch.onnx exports, ONNX Runtime's tools quantize; one file, inputs and outputs as the source's."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource


class _OnnxFromTorch:
    name = "torch-onnx"
    representation: Representation = "torch"
    format: Format = "onnx"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8", "int4-weight")

    def requires(self, precision: Precision) -> Sequence[Requirement]:  # noqa: ARG002 - the same for each
        """ONNX's own library, the exporter's, and the runtime, which quantizes too."""
        return tuple(Requirement(module=module, extra="onnx") for module in ("onnx", "onnxscript", "onnxruntime"))

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:  # noqa: ARG002 - the protocol's
        """None that shows without the framework."""
        return []

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Export once for all precisions of a source, then quantize."""
        from edgekit_converters.formats.onnx_export import export_onnx
        from edgekit_converters.quantization.onnx import quantized_or_plain

        held = cast("TorchSource", source)
        with progress.step(f"{plan.label}: export with torch.onnx"):
            exported = export_onnx(held)
            if plan.precision != "fp32" and exported.branches:
                with suppress(ConversionError):  # of loops, which stay
                    exported = export_onnx(held, branches=False)
        with progress.step(f"{plan.label}: quantize"):
            made = quantized_or_plain(exported.content, plan, calibration)
        model = out / "model.onnx"
        model.write_bytes(made.content)
        names = zip(source.signature.outputs, exported.outputs, strict=True)
        return Converted(
            model=model,
            inputs=source.signature.inputs,
            outputs=tuple(
                spec if spec.name == name else msgspec.structs.replace(spec, binding=name) for spec, name in names
            ),
            operators=made.operators,
            quantized=made.share,
            packages=("torch", "onnx", "onnxscript", "onnx-ir", "onnxruntime"),
            notes=(*exported.notes, *made.notes),
        )


CONVERTER: Converter = _OnnxFromTorch()
