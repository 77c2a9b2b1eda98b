"""PyTorch to ONNX: torch.onnx exports, ONNX Runtime's tools quantize; one file, inputs and outputs as the source's."""

from collections.abc import Callable, Iterable, Sequence
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
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8")

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
        import onnx

        from edgekit_converters.formats.onnx_export import export_onnx
        from edgekit_converters.formats.onnx_file import onnx_facts

        with progress.step(f"{plan.label}: export with torch.onnx"):
            exported = export_onnx(cast("TorchSource", source))
        content, notes = exported.content, exported.notes
        if plan.precision != "fp32":
            from edgekit_converters.quantization.onnx import quantize_onnx

            with progress.step(f"{plan.label}: quantize"):
                content, more = quantize_onnx(content, plan.precision, calibration)
            notes = (*notes, *more)
        facts = onnx_facts(onnx.load_from_string(content))
        if plan.precision != "fp32" and not facts.share.weights:
            raise ConversionError(f"{plan.label} would change nothing: the model has no weights.", hint="Use fp32.")
        model = out / "model.onnx"
        model.write_bytes(content)
        names = zip(source.signature.outputs, exported.outputs, strict=True)
        return Converted(
            model=model,
            inputs=source.signature.inputs,
            outputs=tuple(
                spec if spec.name == name else msgspec.structs.replace(spec, binding=name) for spec, name in names
            ),
            operators=facts.operators,
            quantized=None if plan.precision == "fp32" else facts.share,
            packages=("torch", "onnx", "onnxscript", "onnx-ir", "onnxruntime"),
            notes=notes,
        )


CONVERTER: Converter = _OnnxFromTorch()
