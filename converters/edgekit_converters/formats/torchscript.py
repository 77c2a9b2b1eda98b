"""TorchScript Mobile (`.ptl`): traced, frozen, saved for the lite interpreter.

Upstream calls TorchScript deprecated; it remains what PyTorch offers for devices that run `torch` or its mobile
runtime. `optimize_for_mobile` needs a torch built with XNNPACK (pytorch issue 189532): where there is none, freezing
folds batch normalization all the same, and the manifest says so.
"""

import copy
import io
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from edgekit.artifact import QuantizedShare
from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel, TensorSpec
from edgekit.plan import GOLDEN_SAMPLES, ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource

_COMPUTE: Final = ("conv", "linear", "addmm", "matmul", "bmm", "mm", "lstm", "gru")
"""Parts of the names of operators that do the arithmetic."""

Built = tuple[Any, "QuantizedShare | None", tuple[str, ...]]
"""A module to trace, how much of it is quantized, notes."""


class _TorchScriptConverter:
    name = "torchscript"
    representation: Representation = "torch"
    format: Format = "torchscript"
    precisions: Sequence[Precision] = ("fp32", "fp16", "dynamic-int8", "int8")

    def requires(self, precision: Precision) -> Sequence[Requirement]:  # noqa: ARG002 - the same for each
        """Torch alone."""
        return (Requirement(module="torch", extra="torch"),)

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
        """Quantize, trace, freeze and save."""
        import torch

        held = cast("TorchSource", source)
        if plan.engine:
            torch.backends.quantized.engine = plan.engine
        with progress.step(f"{plan.label}: quantize" if plan.precision != "fp32" else f"{plan.label}: prepare"):
            module, share, notes = _BUILDERS[plan.precision](held, plan, calibration)
        with progress.step(f"{plan.label}: trace and save"):
            script, more = _frozen(held, module)
            model = out / "model.ptl"
            # Into memory, then to the file: PyTorch's own writer aborts the process when the disk is full.
            model.write_bytes(script._save_to_buffer_for_lite_interpreter())  # noqa: SLF001 - its only way
        operators = _operators(script)
        return Converted(
            model=model,
            inputs=source.signature.inputs,
            outputs=_bound_outputs(held, script),
            operators=operators,
            quantized=None if share is None else msgspec.structs.replace(share, operators=_integer_share(operators)),
            packages=("torch",),
            notes=(*notes, *more),
        )


def _fp32(source: "TorchSource", _plan: ConversionPlan, _calibration: Callable[[], Iterable[Tensors]]) -> Built:
    if source.scripted:
        return source.module, None, ()
    return (source.flat() if source.plain else _plain(source)), None, ()


def _fp16(source: "TorchSource", plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> Built:
    """Halved as it is; its weights alone where it makes float32 values of its own as it runs (a state of zeros)."""
    from edgekit_converters.formats.torch_half import Half, with_half_weights
    from edgekit_converters.torch_graph import flat_graph

    share = QuantizedShare(weights=1.0, operators=0.0)
    module, _, _ = _fp32(source, plan, calibration)
    half = Half(copy.deepcopy(module).half())
    if _cannot_run(half, source):
        note = "Weights in half precision, arithmetic in float32: half the size, slower by the widening."
        graph, names = with_half_weights(flat_graph(source.exported()))
        graph.held = names
        return graph, share, (note,)
    note = "Computes in half precision on the CPU: half the size, not faster where the CPU lacks fp16 arithmetic."
    return half, share, (note,)


def _dynamic(source: "TorchSource", plan: ConversionPlan, _calibration: Callable[[], Iterable[Tensors]]) -> Built:
    from edgekit_converters.quantization.torch_dynamic import has_dynamic_layers, quantize_layers, quantize_plain

    notes: tuple[str, ...] = ()
    if source.plain and not source.scripted and has_dynamic_layers(source.module):
        quantized = quantize_layers(source.module)
        module = source.flat(quantized)
        reason = _cannot_run(module, source)
        share = _weight_share(source.module, quantized)
        if share and not reason:
            return module, QuantizedShare(weights=share, operators=0.0), ()
        notes = (f"The exported graph was quantized: the module does not run with other layers ({reason}).",)
    graph = _plain(source)
    quantized = quantize_plain(copy.deepcopy(graph))
    share = _weight_share(graph, quantized)
    if not share:
        raise ConversionError(
            f"{plan.label} would change nothing: the model has no linear or recurrent layer.",
            hint="Use --precision int8 (with --calibration): it quantizes convolutions too.",
        )
    return quantized, QuantizedShare(weights=share, operators=0.0), notes


def _cannot_run(module: Any, source: "TorchSource") -> str:
    """Why a changed model does not run on the example; empty where it does."""
    import torch

    try:
        with torch.inference_mode():
            module(*source.example)
    except Exception as error:  # noqa: BLE001 - the model's own code
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:100]}"
    return ""


def _int8(source: "TorchSource", plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> Built:
    import torch

    from edgekit_converters.quantization.torch_static import lost, quantize_static

    graph = _plain(source)
    before = copy.deepcopy(graph)
    names = [spec.name for spec in source.signature.inputs]

    def samples() -> Iterator[list[torch.Tensor]]:
        for sample in calibration():
            yield [torch.from_numpy(sample[name]) for name in names]

    quantized, notes = quantize_static(graph, source.example, samples(), plan)
    plain = lost(before, quantized, islice(samples(), GOLDEN_SAMPLES))
    if plain > plan.max_error and plan.engine != "qnnpack":  # whose ReLU6 has ranges of its own
        gentle, more = quantize_static(copy.deepcopy(before), source.example, samples(), plan, layers_alone=True)
        if lost(before, gentle, islice(samples(), GOLDEN_SAMPLES)) < plain:
            note = f"Convolutions and linear layers alone: with all in int8 the outputs were off by {plain:.0%}."
            quantized, notes = gentle, (*more, note)
    share = _weight_share(before, quantized)
    if not share:
        raise ConversionError(f"{plan.label} quantized nothing: the model has no layer that FX quantization knows.")
    return quantized, QuantizedShare(weights=share, operators=0.0), (f"quantized for engine {plan.engine}", *notes)


_BUILDERS: Final[dict[Precision, Callable[..., Built]]] = {
    "fp32": _fp32,
    "fp16": _fp16,
    "dynamic-int8": _dynamic,
    "int8": _int8,
}


def _plain(source: "TorchSource") -> Any:
    from edgekit_converters.torch_graph import plain_graph

    return plain_graph(source.exported(), source.example)


def _frozen(source: "TorchSource", module: Any) -> tuple[Any, tuple[str, ...]]:
    import torch
    from torch.backends import xnnpack

    held = list(getattr(module, "held", ()))  # of `with_half_weights`
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # TorchScript is deprecated upstream; `doctor` and the manifest say so
        if not isinstance(module, torch.jit.ScriptModule):
            _forget_classes()
            module = torch.jit.trace(module, source.example, strict=False, check_trace=False)
        script = torch.jit.freeze(_renumbered(module).eval(), preserved_attrs=held)
        if not xnnpack.enabled:
            return script, ("frozen and folded; optimize_for_mobile left out: this torch has no XNNPACK",)
        from torch.utils.mobile_optimizer import optimize_for_mobile

        return optimize_for_mobile(script), ("optimize_for_mobile",)


def _forget_classes() -> None:
    """Forget the classes traced so far, so that the next one's name needs no number to differ from theirs.

    As `torch.testing._internal.jit_utils.clear_class_registry` does.
    """
    import torch
    from torch.jit import _recursive, _state

    torch._C._jit_clear_class_registry()  # noqa: SLF001 - there is no public way
    _recursive.concrete_type_store = _recursive.ConcreteTypeStore()
    _state._clear_class_state()  # noqa: SLF001 - as above


def _renumbered(script: Any) -> Any:
    """The same module loaded anew, without the lines of Python that it was traced from.

    What freezing calls its copy then starts at 0, and no path of this machine gets into the file: its bytes repeat.
    """
    import torch

    stripped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(script.save_to_buffer())) as whole, zipfile.ZipFile(stripped, "w") as kept:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                kept.writestr(entry, whole.read(entry))
    stripped.seek(0)
    return torch.jit.load(stripped)


def _bound_outputs(source: "TorchSource", script: Any) -> tuple[TensorSpec, ...]:
    """Outputs by position in the flat tuple; a scripted model that gives a dict keeps its keys."""
    outputs = source.signature.outputs
    gives_dict = source.scripted and "Dict" in str(script.forward.schema.returns[0].type)
    return tuple(
        msgspec.structs.replace(spec, binding=spec.name if gives_dict else str(place))
        for place, spec in enumerate(outputs)
    )


def _operators(script: Any) -> dict[str, int]:
    kinds = Counter(node.kind() for node in script.inlined_graph.nodes() if not node.kind().startswith("prim::"))
    return dict(sorted(kinds.items()))


def _integer_share(operators: dict[str, int]) -> float:
    computing = {name: n for name, n in operators.items() if any(part in name.split("::")[1] for part in _COMPUTE)}
    integer = sum(count for name, count in computing.items() if name.startswith("quantized::"))
    return integer / max(1, sum(computing.values()))


def _weight_share(before: Any, after: Any) -> float:
    """The share of the float model's weight elements that the quantized one holds as integers."""
    total, left = _float_weights(before), _float_weights(after)
    return 1 - left / total if total else 0.0


def _float_weights(module: Any) -> int:
    """Elements of float matrices and kernels; vectors are biases and statistics."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(item.numel() for item in tensors if item.is_floating_point() and item.squeeze().dim() > 1)


CONVERTER: Converter = _TorchScriptConverter()
