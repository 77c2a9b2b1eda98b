"""PyTorch to TFLite: litert-torch lowers the exported program, ai-edge-quantizer quantizes; no TensorFlow."""

import keyword
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from edgekit.errors import ConversionError
from edgekit.model import Representation, Signature, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors
from edgekit_converters.formats.tflite_file import integer_signature, rename_inputs, tflite_facts

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource

_NARROWED: Final = {"int64": "int32", "float64": "float32"}
"""What litert-torch makes of 64-bit inputs and outputs: TFLite kernels have no 64-bit arithmetic worth the name."""


class _TfliteFromTorch:
    name = "litert-torch"
    representation: Representation = "torch"
    format: Format = "tflite"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8", "int16x8", "int4-weight")

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """litert-torch, the quantizer for everything but fp32, and LiteRT to check the result."""
        quantizer = (Requirement(module="ai_edge_quantizer", extra="litert-torch"),) if precision != "fp32" else ()
        return (
            Requirement(module="litert_torch", extra="litert-torch"),
            Requirement(module="ai_edge_litert", extra="tflite"),
            *quantizer,
        )

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
        """Lower once for all precisions of a source, then quantize."""
        from edgekit_converters.torch_graph.branches import branch_notes

        held = cast("TorchSource", source)
        with progress.step(f"{plan.label}: lower with litert-torch"):
            content = _lower(held)
        if plan.precision != "fp32":
            from edgekit_converters.quantization.tflite import quantize_tflite

            with progress.step(f"{plan.label}: quantize"):
                content = quantize_tflite(content, plan, calibration)
        model = out / "model.tflite"
        model.write_bytes(content)
        facts = tflite_facts(content)
        signature = _narrowed(source.signature)
        if plan.io_type == "int8":
            signature = integer_signature(content, signature)
        return Converted(
            model=model,
            inputs=signature.inputs,
            outputs=signature.outputs,
            operators=facts.operators,
            quantized=None if plan.precision == "fp32" else facts.share,
            packages=("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert"),
            notes=branch_notes(held.selected),
        )


@lru_cache(maxsize=1)
def _lower(source: "TorchSource") -> bytes:
    import litert_torch

    names = {spec.name: _identifier(spec.name, place) for place, spec in enumerate(source.signature.inputs)}
    inputs = dict(zip(names.values(), source.example, strict=True))
    try:
        edge = litert_torch.convert(_traceable(source, names), sample_kwargs=inputs)
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConversionError(
            f"litert-torch cannot lower this model: {type(error).__name__}: {first[:300]}",
            hint="It takes static shapes and no data-dependent control flow; TorchScript may take the model.",
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        lowered = Path(folder, "float.tflite")
        edge.export(str(lowered))
        content = lowered.read_bytes()
    renamed = {own: name for name, own in names.items() if own != name}
    return rename_inputs(content, renamed) if renamed else content


def _identifier(name: str, place: int) -> str:
    """A name for a parameter of Python's: the input's own where it is one."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"edgekit_in_{place}"


def _traceable(source: "TorchSource", names: Mapping[str, str]) -> object:
    """What torch.export can trace, by keyword: a TorchScript model goes through an exported program first."""
    from edgekit_converters.sources.torch_source import Named, named_outputs

    if not source.scripted:
        return Named(source.module, lambda module, given: named_outputs(
            source.call(module, {name: given[own] for name, own in names.items()})
        ))  # fmt: skip
    outputs = [spec.name for spec in source.signature.outputs]
    module = source.exported().module()
    return Named(
        module,
        lambda program, given: dict(zip(outputs, _flat(program(*(given[own] for own in names.values()))), strict=True)),
    )


def _flat(value: object) -> Sequence[object]:
    from torch.utils import _pytree as pytree

    return cast("Sequence[object]", pytree.tree_leaves(value))


def _narrowed(signature: Signature) -> Signature:
    inputs, outputs = (
        tuple(msgspec.structs.replace(spec, dtype=_NARROWED.get(spec.dtype, spec.dtype)) for spec in specs)
        for specs in (signature.inputs, signature.outputs)
    )
    return Signature(inputs=inputs, outputs=outputs)


CONVERTER: Converter = _TfliteFromTorch()
