"""TorchScript Mobile by a trace, ExecuTorch by its XNNPACK defaults; int8 by FX and by PT2E with their own settings."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sources import Sample, Source


def _script(source: "Source", precision: str, folder: Path) -> Path:
    import torch

    module, example = _module(source), source.example()
    if precision == "fp16":
        module, example = module.half(), tuple(item.half() for item in example)
    elif precision == "dynamic-int8":
        module = torch.ao.quantization.quantize_dynamic(module)
    elif precision == "int8":
        module = _fx(module, source)
    if not isinstance(module, torch.jit.ScriptModule):
        module = torch.jit.trace(module, example, strict=False)
    model = folder / "model.ptl"
    module._save_for_lite_interpreter(str(model))  # noqa: SLF001 - torch has no other name for it
    return model


def _fx(module: Any, source: "Source") -> Any:
    import torch
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    prepared = prepare_fx(copy.deepcopy(module), get_default_qconfig_mapping("x86"), source.example())
    with torch.inference_mode():
        for sample in source.samples:
            prepared(*(torch.from_numpy(sample[name]) for name in source.names))
    return convert_fx(prepared)


def _module(source: "Source") -> Any:
    if source.kind != "onnx":
        return source.held
    from onnx2torch import convert

    return convert(source.path).eval()


def _executorch(source: "Source", precision: str, folder: Path) -> Path:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    module, example = _module(source), source.example()
    if precision in {"int8", "dynamic-int8"}:
        module = _pt2e(module, source, dynamic=precision != "int8")
    elif precision != "fp32":
        raise SystemExit(f"ExecuTorch's XNNPACK settings have no {precision}")
    program = torch.export.export(module, example)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    model = folder / "model.pte"
    model.write_bytes(lowered.to_executorch().buffer)
    return model


def _pt2e(module: Any, source: "Source", *, dynamic: bool) -> Any:
    import torch
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = xnnpack.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    graph = torch.export.export(module, source.example()).module()
    prepared = prepare_pt2e(graph, xnnpack.XNNPACKQuantizer().set_global(config))
    for sample in source.samples:
        prepared(*(torch.from_numpy(sample[name]) for name in source.names))
    return convert_pt2e(prepared)


def _run_script(path: Path, source: "Source") -> "Callable[[Sample], list[Any]]":
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    module = _load_for_lite_interpreter(str(path))

    def run(sample: "Sample") -> list[Any]:
        given = [torch.from_numpy(sample[name]) for name in source.names]
        with torch.inference_mode():
            try:
                found = module(*given)
            except RuntimeError:
                found = module(*(item.half() for item in given))  # a half-precision model takes halves alone
        return [np.asarray(item.float() if item.is_floating_point() else item) for item in _flat(found)]

    return run


def _flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else [value]


def _run_executorch(path: Path, source: "Source") -> "Callable[[Sample], list[Any]]":
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(str(path)).load_method("forward")

    def run(sample: "Sample") -> list[Any]:
        return [item.numpy().copy() for item in method.execute([torch.from_numpy(sample[n]) for n in source.names])]

    return run


CALLS = {
    ("torch", "torchscript"): _script, ("keras", "torchscript"): _script, ("onnx", "torchscript"): _script,
    ("torch", "executorch"): _executorch, ("keras", "executorch"): _executorch, ("onnx", "executorch"): _executorch,
}  # fmt: skip
RUNNERS = {"torchscript": _run_script, "executorch": _run_executorch}
