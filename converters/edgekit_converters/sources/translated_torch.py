"""An ONNX graph as a PyTorch module, by onnx2torch: what it does not know is brought into what it knows first."""

import re
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgekit.errors import ConversionError
from edgekit.protocols import Array, LoadedSource, Tensors
from edgekit_converters.sources.torch_source import TorchSource, example_tensor

if TYPE_CHECKING:
    from edgekit_converters.sources.onnx_model import OnnxSource


class Translated(TorchSource):
    """A module that was built of another framework's model, and that model, which says what is right."""

    def __init__(self, module: Any, graph: Any, original: LoadedSource) -> None:
        known = {spec.name for spec in original.signature.inputs}
        inputs = [item.name for item in graph.input if item.name in known]
        bindings = {spec.binding or spec.name: spec.name for spec in original.signature.outputs}
        super().__init__(
            module,
            lambda built, named: built(*(named[name] for name in inputs)),
            original.signature.inputs,
            operators=original.operators,
            framework=original.framework,
            plain=False,
            output_names=[bindings[item.name] for item in graph.output],
            notes=(*original.notes, "PyTorch took the ONNX graph through onnx2torch."),
        )
        self._original = original
        self.parameters = original.parameters

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run the original."""
        return dict(self._original.run(inputs))


def torch_from_onnx(model: "OnnxSource", original: LoadedSource) -> Translated:
    """The module of a graph.

    Args:
        model: The graph.
        original: What artifacts are compared with: the graph itself, or what it was made of.

    Raises:
        ConversionError: onnx2torch lacks an operator; its name is in the cause.
    """
    _without_torchvision()
    from onnx2torch import convert

    from edgekit_converters.sources.onnx_recurrent import register_recurrent
    from edgekit_converters.sources.onnx_rewrites import known, simplified

    register_recurrent()
    notes: list[str] = []
    for prepare in (known, lambda graph: known(simplified(graph))):
        try:
            module = _with_fixed_shapes(convert(prepare(model.model)).eval(), model)
        except Exception as error:  # noqa: BLE001 - onnx2torch raises what it likes
            notes.append(_reason(error))
        else:
            return Translated(module, model.model.graph, original)
    raise ConversionError(
        f"onnx2torch cannot build a PyTorch module of this graph: {notes[-1]}",
        hint="ONNX Runtime can take the file as it is: --format onnx.",
    )


def _with_fixed_shapes(module: Any, model: "OnnxSource") -> Any:
    """The same with shapes as numbers, which onnx2torch leaves as tensors; it builds no branches that a trace loses."""
    import torch
    from torch._export.converter import TS2EPConverter

    specs = {spec.name: spec for spec in model.signature.inputs}
    example = tuple(example_tensor(specs[item.name]) for item in model.model.graph.input if item.name in specs)
    with torch.inference_mode():
        traced = torch.jit.freeze(torch.jit.trace(module, example, check_trace=False))
    return TS2EPConverter(traced, example).convert().module()


def _reason(error: Exception) -> str:
    unknown = re.search(r"operation_type='(\w+)'", str(error))
    return f"it has no {unknown[1]}" if unknown else next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _without_torchvision() -> None:
    """Let onnx2torch be imported where torchvision is missing, or made for another PyTorch: two operators need it."""
    try:
        import torchvision  # noqa: F401 - only whether it can be
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        operators: Mapping[str, Any] = {"nms": None, "roi_align": None, "box_convert": None}
        _stand_in("torchvision.ops", operators)
        _stand_in("torchvision", {"ops": sys.modules["torchvision.ops"]})


def _stand_in(name: str, content: Mapping[str, Any]) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(content)
    sys.modules[name] = module
