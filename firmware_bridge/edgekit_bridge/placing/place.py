"""Loads an artifact in its runtime, runs it once, and looks who executed it and what memory that took."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.golden import load_golden
from edgekit.placement import Placement, Placer
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.typed import typed_errors

_IMPORTS: Final[dict[str, Callable[[], Any]]] = {
    "tflite": on_device.tflite_interpreter,
    "torchscript": on_device.torch_module,
    "onnx": on_device.onnxruntime_module,
    "executorch": on_device.executorch_modules,
    "savedmodel": on_device.tensorflow_module,
}
"""What a runtime takes before it holds a model is no model's."""

_FORMATS: Final = {
    "tflite": "edgekit_bridge.placing.tflite",
    "onnx": "edgekit_bridge.placing.onnx",
    "ort": "edgekit_bridge.placing.onnx",
    "executorch": "edgekit_bridge.placing.executorch",
}
"""Who looks into the files of a format: `look(artifact)` and `users(model, operator)`."""


class _Placer:
    def place(self, artifact: Artifact) -> Placement:
        """See `Placer`."""
        held = _held_bytes(artifact)
        module = _FORMATS.get(artifact.manifest.format)
        seen: Placement = import_module(module).look(artifact) if module else Placement()
        return msgspec.structs.replace(seen, held_bytes=held)

    def users(self, model: Path, operator: str) -> tuple[str, ...]:
        """See `Placer`."""
        module = _FORMATS.get(model.suffix.removeprefix("."))
        found: tuple[str, ...] = import_module(module).users(model, operator) if module else ()
        return found


def _held_bytes(artifact: Artifact) -> int:
    """What this process grew by."""
    manifest = artifact.manifest
    inputs, _ = load_golden(artifact.golden)
    runtime = next(item for item in catalog.runtimes() if item.format == manifest.format)
    with typed_errors():
        _IMPORTS.get(manifest.format, int)()
    before, _ = on_device.memory_baseline()
    session = runtime.open(artifact.model, manifest.signature, threads=1, engine=manifest.plan.engine)
    session.run(inputs[0])
    return max(0, on_device.peak_rss() - before)


PLACER: Placer = _Placer()
