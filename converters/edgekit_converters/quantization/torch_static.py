"""Static int8 for PyTorch, by FX graph mode quantization on a plain graph (see `edgekit_converters.torch_graph`)."""

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from torch import fx, nn
from torch.ao.quantization import (
    FixedQParamsFakeQuantize,
    FixedQParamsObserver,
    HistogramObserver,
    MinMaxObserver,
    QConfig,
    QConfigMapping,
    get_default_qconfig,
    get_default_qconfig_mapping,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torch.fx.passes.shape_prop import TensorMetadata

from edgekit.plan import ConversionPlan

_TOP_OF_RELU6: Final = 6.0


def quantize_static(
    graph: fx.GraphModule,
    example: Sequence[torch.Tensor],
    calibration: Iterable[Sequence[torch.Tensor]],
    plan: ConversionPlan,
    *,
    layers_alone: bool = False,
) -> tuple[fx.GraphModule, tuple[str, ...]]:
    """Observe the calibration samples, then replace float layers by int8 ones.

    Args:
        graph: A plain graph; it is changed.
        example: One tensor for each input.
        calibration: Inputs in order, one sequence a sample.
        plan: Says the engine (`qnnpack`, `x86` or `onednn`), which decides observers and how weights are packed, and
            how ranges are found.
        layers_alone: Whether all but convolutions and linear layers stays in float.

    Returns:
        The quantized graph, and notes for the manifest.
    """
    torch.backends.quantized.engine = plan.engine
    mapping = _for_layers(plan.engine) if layers_alone else get_default_qconfig_mapping(plan.engine)
    if plan.calibration_method == "min-max":
        _look_at_extremes(mapping)
    clamped, notes = _replace_relu6(graph, mapping) if plan.engine == "qnnpack" else (set(), ())
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # FX quantization is deprecated upstream; the manifest says so
        integers = _integers(graph)
        prepared = prepare_fx(graph, mapping, tuple(example))
        _clamp_outputs(prepared, clamped)
        _leave_integers(prepared, integers)
        for sample in calibration:
            prepared(*sample)
        return convert_fx(prepared), notes


def lost(before: fx.GraphModule, after: fx.GraphModule, samples: Iterable[Sequence[torch.Tensor]]) -> float:
    """The worst output's RMS error over its RMS, on some samples."""
    totals: list[list[float]] = []
    with torch.inference_mode():
        for sample in samples:
            for place, (right, found) in enumerate(zip(before(*sample), after(*sample), strict=True)):
                totals += [[0.0, 0.0]] if len(totals) <= place else []
                totals[place][0] += float(right.double().square().sum())
                totals[place][1] += float((right.double() - found.double()).square().sum())
    return max(math.sqrt(error / signal if signal else error) for signal, error in totals)


def _for_layers(engine: str) -> QConfigMapping:
    mapping = QConfigMapping().set_global(None)
    for kind in (nn.Conv1d, nn.Conv2d, nn.Linear, nn.ReLU):
        mapping.set_object_type(kind, get_default_qconfig(engine))
    return mapping


def _look_at_extremes(mapping: QConfigMapping) -> None:
    """Let the least and greatest value be the range, where PyTorch would look for the least squared error."""

    def plainer(config: Any) -> Any:
        held = getattr(getattr(config, "activation", None), "p", None)
        if held is None or held.func is not HistogramObserver:
            return config
        return QConfig(activation=MinMaxObserver.with_args(**held.keywords), weight=config.weight)

    mapping.global_qconfig = plainer(mapping.global_qconfig)
    for kind, config in mapping.object_type_qconfigs.items():
        mapping.object_type_qconfigs[kind] = plainer(config)


def _replace_relu6(graph: fx.GraphModule, mapping: QConfigMapping) -> tuple[set[str], tuple[str, ...]]:
    """QNNPACK's quantized ReLU6 is wrong on x86 (0 dB measured); a ReLU whose output range ends at 6 is the same.

    It needs a convolution or linear layer in front, to fuse with. Any other ReLU6 stays in float.
    """
    clamped, in_float = set(), 0
    for node in graph.graph.nodes:
        if node.op != "call_module" or not isinstance(graph.get_submodule(node.target), nn.ReLU6):
            continue
        layer = node.args[0]
        fuses = layer.op == "call_module" and len(layer.users) == 1
        if fuses and isinstance(graph.get_submodule(layer.target), nn.Conv1d | nn.Conv2d | nn.Linear):
            graph.set_submodule(node.target, nn.ReLU())
            clamped.add(layer.target)
        else:
            mapping.set_module_name(node.target, None)
            in_float += 1
    notes = [f"{len(clamped)} ReLU6 clamp by the range of their output (QNNPACK)"] if clamped else []
    notes += [f"{in_float} ReLU6 stay in float: nothing to fuse with (QNNPACK)"] if in_float else []
    return clamped, tuple(notes)


def _clamp_outputs(prepared: fx.GraphModule, clamped: set[str]) -> None:
    """Fix the output range of these layers to 0..6, so that saturation is the clamp."""
    for node in list(prepared.graph.nodes):
        if node.op == "call_module" and node.target in clamped:
            observer = next(user for user in node.users if "activation_post_process" in str(user.target))
            prepared.set_submodule(observer.target, _fixed_range())


def _integers(graph: fx.GraphModule) -> set[str]:
    """The names of nodes that give integers."""
    known = ((node.name, node.meta.get("tensor_meta")) for node in graph.graph.nodes)
    return {name for name, meta in known if isinstance(meta, TensorMetadata) and not meta.dtype.is_floating_point}


def _leave_integers(prepared: fx.GraphModule, integers: set[str]) -> None:
    """Observe no integers: a rate, a count or token ids have no range to be quantized in."""
    for node in list(prepared.graph.nodes):
        if node.op == "call_module" and "activation_post_process" in str(node.target) and node.args[0].name in integers:
            node.replace_all_uses_with(node.args[0])
            prepared.graph.erase_node(node)
    prepared.recompile()


def _fixed_range() -> Any:
    observer = FixedQParamsObserver.with_args(
        scale=_TOP_OF_RELU6 / 255, zero_point=0, dtype=torch.quint8, quant_min=0, quant_max=255
    )
    fixed = FixedQParamsFakeQuantize(observer=observer)
    fixed.disable_fake_quant()
    return fixed
