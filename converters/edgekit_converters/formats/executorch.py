"""ExecuTorch (`.pte`): the exported program, lowered to XNNPACK as far as that goes, portable kernels for the rest."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from edgekit.artifact import QuantizedShare
from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel, TensorSpec
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource

_PLUMBING: Final = {"getitem", "executorch_call_delegate"}
"""Nodes of a graph that compute nothing."""

_HINT: Final = "TorchScript may take the model as it is; or replace that part of it."

Prepared = tuple[Any, QuantizedShare | None, tuple[str, ...]]
"""An exported program in the precision that was asked for, how much of it is quantized, notes."""


class Lowered(msgspec.Struct, frozen=True, kw_only=True):
    """A `.pte` file's bytes, with what executes its operators.

    Attributes:
        content: The file.
        operators: Every operator with how often it occurs, those inside XNNPACK's parts too.
        left: Those of them that portable kernels execute.
        parts: How many parts XNNPACK executes.
    """

    content: bytes
    operators: dict[str, int]
    left: dict[str, int]
    parts: int

    @property
    def note(self) -> str:
        """How much of it XNNPACK executes."""
        total, left = sum(self.operators.values()), sum(self.left.values())
        rest = f"; portable kernels, slow ones, the rest: {', '.join(self.left)}" if left else ""
        parts = f"{self.parts} part{'' if self.parts == 1 else 's'}"
        return f"XNNPACK executes {total - left} of {total} operators in {parts}{rest}"


class _ExecutorchConverter:
    name = "executorch"
    representation: Representation = "torch"
    format: Format = "executorch"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8")

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """ExecuTorch, and torchao where there is something to quantize."""
        quantizer = ("torchao",) if precision in {"dynamic-int8", "int8"} else ()
        return tuple(Requirement(module=module, extra="executorch") for module in ("torch", "executorch", *quantizer))

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
        """Export, quantize, lower and save."""
        held = cast("TorchSource", source)
        with progress.step(f"{plan.label}: export" if plan.precision == "fp32" else f"{plan.label}: quantize"):
            program, share, notes = _prepared(held, plan, calibration)
        with progress.step(f"{plan.label}: lower to XNNPACK"):
            lowered = _lowered(program)
        model = out / "model.pte"
        model.write_bytes(lowered.content)
        return Converted(
            model=model,
            inputs=source.signature.inputs,
            outputs=tuple(_at(spec, place) for place, spec in enumerate(source.signature.outputs)),
            operators=lowered.operators,
            quantized=share,
            packages=("torch", "executorch", "torchao"),
            notes=(*notes, lowered.note),
        )


def _at(spec: TensorSpec, place: int) -> TensorSpec:
    """A `.pte` file keeps no names of outputs: they are told by their places in the flat tuple."""
    return msgspec.structs.replace(spec, binding=str(place))


def _prepared(source: "TorchSource", plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> Prepared:
    import torch

    from edgekit_converters.formats.torch_program import exported_program

    program = exported_program(source)
    if plan.precision == "fp32":
        return program, None, ()
    if plan.precision == "fp16":
        from edgekit_converters.formats.torch_half import Half

        note = "Computes in half precision: half the size, faster where the CPU has fp16 arithmetic."
        half = torch.export.export(Half(copy.deepcopy(program).module()), source.example)
        return half, QuantizedShare(weights=1.0, operators=0.0), (note,)
    from edgekit_converters.quantization.torch_pt2e import quantize_pt2e, quantized_share

    names = [spec.name for spec in source.signature.inputs]
    samples = ([torch.from_numpy(sample[name]) for name in names] for sample in calibration())
    quantized = quantize_pt2e(program, source.example, samples, plan)
    share = quantized_share(quantized)
    if not share.weights:
        raise ConversionError(
            f"{plan.label} would change nothing: XNNPACK's quantizer knows none of the model's layers.",
            hint="Use --precision fp32 or fp16.",
        )
    return quantized, share, ()


def _lowered(program: Any) -> Lowered:
    import executorch.kernels.quantized  # noqa: F401 - registers what executes where XNNPACK does not
    from executorch.devtools.backend_debug import get_delegation_info

    try:
        edge = _partitioned(program)
        info = get_delegation_info(edge.exported_program().graph_module)
        content = bytes(edge.to_executorch().buffer)
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ConversionError(
            f"ExecuTorch cannot lower this model: {type(error).__name__}: {first[:300]}", hint=_HINT
        ) from error
    every: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for name, found in sorted(info.delegation_by_operator.items()):
        if name not in _PLUMBING and not name.startswith("quantized_decomposed_"):
            every[_short(name)] += found.delegated + found.non_delegated
            left[_short(name)] += found.non_delegated
    return Lowered(content=content, operators=dict(every), left=dict(+left), parts=info.num_delegated_subgraphs)


def _partitioned(program: Any) -> Any:
    """The edge program, with what XNNPACK executes taken out of it.

    The newer way keeps whole what the partitioner asks for, such as linear layers, and takes nothing out of branches
    and loops: there they are left, which no kernel executes. The older way breaks them up everywhere first.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge, to_edge_transform_and_lower

    if len(list(program.graph_module.modules())) > 1:  # those of branches and loops
        return to_edge(program).to_backend(XnnpackPartitioner())
    return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])


def _short(name: str) -> str:
    """`aten_convolution_default` is a convolution."""
    return name.removeprefix("aten_").strip("_").removesuffix("_default")


CONVERTER: Converter = _ExecutorchConverter()
