"""Runtimes on this host: the harness's own adapters, so that parity here and on a device is the same code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgekit.fingerprint import package_version
from edgekit.model import Signature
from edgekit.plan import Format
from edgekit.protocols import Array, Requirement, Runtime, Tensors
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.tflm import RUNTIME as TFLM
from edgekit_bridge.harness.typed import typed_errors


class _Session:
    def __init__(self, model: Any) -> None:
        self._model = model

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once; real-valued inputs and outputs by the source's names."""
        with typed_errors():
            outputs: dict[str, Array] = self._model.run(inputs)
            return outputs


class _CompilerRuntime:
    """Compiles format `c` with this host's compiler."""

    name = "C compiler"
    format: Format = "c"
    requires: Sequence[Requirement] = ()

    def describe(self) -> str:
        """The compiler with its version."""
        with typed_errors():
            return f"C, {on_device.c_version(on_device.c_compiler())}"

    def open(self, model: Path, signature: Signature, *, threads: int, engine: str) -> _Session:
        """Compile a model and load it.

        Raises:
            UsageError: There is no C compiler.
            MeasurementError: The model does not compile.
        """
        return _open(self.format, model, signature, threads=threads, engine=engine)


class _HostRuntime:
    def __init__(self, name: str, format_: Format, requires: Sequence[Requirement], label: str, package: str) -> None:
        self.name = name
        self.format: Format = format_
        self.requires = requires
        self._label = label
        self._package = package

    def describe(self) -> str:
        """The runtime with its version, worded as the harness words it on a device."""
        return f"{self._label} {package_version(self._package)}"

    def open(self, model: Path, signature: Signature, *, threads: int, engine: str) -> _Session:
        """Load a model file.

        Raises:
            MeasurementError: The runtime is missing or cannot load it.
        """
        return _open(self.format, model, signature, threads=threads, engine=engine)


def _open(format_: Format, model: Path, signature: Signature, *, threads: int, engine: str) -> _Session:
    inputs, outputs = msgspec.to_builtins((signature.inputs, signature.outputs))
    with typed_errors():
        return _Session(on_device.open_model(format_, str(model), inputs, outputs, threads=threads, engine=engine))


RUNTIMES: tuple[Runtime, ...] = (
    _HostRuntime(
        "LiteRT", "tflite", (Requirement(module="ai_edge_litert", extra="tflite"),), "LiteRT", "ai-edge-litert"
    ),
    _HostRuntime(
        "TorchScript",
        "torchscript",
        (Requirement(module="torch", extra="torch"),),
        "TorchScript lite, torch",
        "torch",
    ),
    _HostRuntime(
        "ONNX Runtime", "onnx", (Requirement(module="onnxruntime", extra="onnx"),), "ONNX Runtime", "onnxruntime"
    ),
    _CompilerRuntime(),
    _HostRuntime(
        "ONNX Runtime (.ort)", "ort", (Requirement(module="onnxruntime", extra="onnx"),), "ONNX Runtime", "onnxruntime"
    ),
    _HostRuntime(
        "ExecuTorch", "executorch", (Requirement(module="executorch", extra="executorch"),), "ExecuTorch", "executorch"
    ),
    _HostRuntime(
        "TensorFlow", "savedmodel", (Requirement(module="tensorflow", extra="tensorflow"),), "TensorFlow", "tensorflow"
    ),
    TFLM,
)
