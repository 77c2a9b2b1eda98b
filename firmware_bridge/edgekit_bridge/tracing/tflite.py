"""Inner tensors of a .tflite file: LiteRT keeps all of them when it is asked to, with its built-in kernels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from edgekit.layers import Trace, TracedLayer, Tracer
from edgekit.model import Signature
from edgekit.protocols import Array, Requirement, Tensors
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.typed import typed_errors

_MOVERS: Final = {"QUANTIZE", "DEQUANTIZE"}
"""What quantizers put at the borders; their outputs are the tensors before them in another type."""


class _TfliteTrace(on_device.TfliteModel):
    options: ClassVar[dict[str, Any]] = {"experimental_preserve_all_tensors": True}
    kernels = "LiteRT's built-in kernels (XNNPACK, which may round otherwise, shows no inner tensors)"

    def __init__(self, model: Path, signature: Signature) -> None:
        inputs, outputs = msgspec.to_builtins((signature.inputs, signature.outputs))
        super().__init__(str(model), inputs, outputs, threads=1, engine="", delegate="none")
        self._tensors = {item["index"]: item for item in self._interpreter.get_tensor_details()}
        names = {index: item["name"] for index, item in self._tensors.items()}
        self._written: dict[str, Any] = {}
        layers = []
        for node in self._interpreter._get_ops_details():  # noqa: SLF001 - there is no public way
            taken = tuple(names[int(index)] for index in node["inputs"] if int(index) in names)
            for index in (int(item) for item in node["outputs"]):
                if index in names and node["op_name"] not in _MOVERS:
                    layers.append(TracedLayer(name=names[index], operator=node["op_name"], inputs=taken))
                    self._written[names[index]] = self._tensors[index]
        self.layers: Sequence[TracedLayer] = tuple(layers)

    def run(self, values: Tensors) -> dict[str, Any]:
        """See `Trace`."""
        with typed_errors():
            self.set_inputs(dict(values))
            self.invoke()
        return {name: self._dequantized(detail) for name, detail in self._written.items()}

    def _dequantized(self, detail: Any) -> Array:
        value: Array = self._interpreter.get_tensor(detail["index"])
        affine = on_device.quantization({}, detail) if on_device.is_integer(value.dtype) else None
        return value if affine is None else affine.load(value)


class _TfliteTracer:
    format = "tflite"
    requires: Sequence[Requirement] = (Requirement(module="ai_edge_litert", extra="tflite"),)

    def open(self, model: Path, signature: Signature) -> Trace:
        """See `Tracer`."""
        with typed_errors():
            return _TfliteTrace(model, signature)


TRACER: Tracer = _TfliteTracer()
