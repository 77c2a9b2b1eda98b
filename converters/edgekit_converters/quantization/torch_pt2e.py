"""8-bit weights and activations for XNNPACK, by torchao's PT2E flow: observers in an exported program."""

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Final

from edgekit.artifact import QuantizedShare
from edgekit.plan import ConversionPlan

_COMPUTE: Final = ("conv", "linear", "addmm", "matmul", "bmm", "mm", "lstm", "gru")
"""Parts of the names of operators that do the arithmetic."""

_MATRIX: Final = 2
"""Constants of fewer dimensions are biases, not weights."""


_LEAST_SCALE: Final = 2**-12
"""As ExecuTorch's own configuration has it (`get_symmetric_quantization_config`)."""


def quantize_pt2e(
    program: Any, example: Sequence[Any], calibration: Iterable[Sequence[Any]], plan: ConversionPlan
) -> Any:
    """Quantize an exported program, weights by channel.

    Args:
        program: A `torch.export.ExportedProgram`.
        example: One tensor for each input.
        calibration: Inputs in order, one sequence of tensors a sample; looked at for `int8` only.
        plan: Says the precision and how ranges are found.

    Returns:
        The program in that precision.
    """
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import MinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=plan.precision == "dynamic-int8")
    if plan.calibration_method == "min-max":
        seen = dataclasses.replace(
            config.input_activation, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=_LEAST_SCALE)
        )
        config = dataclasses.replace(config, input_activation=seen, output_activation=seen)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        prepared = prepare_pt2e(_unrolled(program).module(), XNNPACKQuantizer().set_global(config))
        for sample in calibration if plan.precision == "int8" else [example]:  # weights are looked at in passing
            prepared(*sample)
        return torch.export.export(convert_pt2e(prepared), tuple(example))


def _unrolled(program: Any) -> Any:
    """The program with recurrent layers as the linear layers they are made of, which the quantizer knows."""
    import torch
    from torch._decomp import get_decompositions

    recurrent = [torch.ops.aten.lstm.input, torch.ops.aten.gru.input]
    if not any(node.target in recurrent for node in program.graph.nodes):
        return program
    return program.run_decompositions(get_decompositions(recurrent))


def quantized_share(program: Any) -> QuantizedShare:
    """How much of an exported program is on integers."""
    return QuantizedShare(weights=_weight_share(program), operators=_operator_share(program.graph))


def _weight_share(program: Any) -> float:
    import torch

    told = program.graph_signature
    held = told.inputs_to_parameters | told.inputs_to_buffers | told.inputs_to_lifted_tensor_constants
    values = {**program.constants, **program.state_dict}
    used = [node.name for node in program.graph.nodes if node.op == "placeholder" and node.users]
    tensors = [values[held[name]] for name in used if name in held]
    weights = [item for item in tensors if item.dim() >= _MATRIX and item.dtype in {torch.float32, torch.int8}]
    narrow = sum(int(item.numel()) for item in weights if item.dtype == torch.int8)
    return narrow / max(1, sum(int(item.numel()) for item in weights))


def _operator_share(graph: Any) -> float:
    """The share of the compute operators that take what was just dequantized: XNNPACK runs those on integers."""
    computing = [
        node for node in graph.nodes
        if node.op == "call_function" and any(part in str(node.target) for part in _COMPUTE)
    ]  # fmt: skip
    integer = sum("dequantize" in str(getattr(node.args[0], "target", "")) for node in computing)
    return integer / max(1, len(computing))
