"""Load a model in its own framework, by the shortest code that does it."""

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FAMILY = {
    "pytorch": "torch", "exported-program": "torch", "torchscript": "torch", "keras": "keras",
    "savedmodel": "savedmodel", "onnx": "onnx", "tflite": "tflite",
}  # fmt: skip
"""Kinds of source by whose calls take them."""

Sample = Mapping[str, Any]


@dataclass
class Source:
    """A model that runs, with its samples by input name."""

    kind: str
    path: str
    held: Any
    names: list[str]
    ranks: Mapping[str, int]
    run: Callable[[Sample], Mapping[str, Any]]
    signature: str = ""
    samples: list[Sample] = field(default_factory=list)
    test: list[Sample] = field(default_factory=list)
    labels: Any = None

    def run_list(self, sample: Sample) -> list[Any]:
        """The outputs by position."""
        return list(self.run(sample).values())

    def example(self) -> tuple[Any, ...]:
        """The first sample as tensors of PyTorch, by position."""
        import torch

        return tuple(torch.from_numpy(self.samples[0][name]) for name in self.names)


def load(job: Mapping[str, Any]) -> Source:
    """Load it, and the samples that the job names."""
    os.environ.setdefault("KERAS_BACKEND", "torch" if job["format"] in {"torchscript", "executorch"} else "tensorflow")
    source = LOADERS[job["kind"]](job)
    source.kind, source.signature = job["kind"], job["signature"]
    source.samples = _samples(job["samples"], source)[0]
    if job["test"]:
        source.test, source.labels = _samples(job["test"], source)
    return source


def _samples(path: str, source: Source) -> tuple[list[Sample], Any]:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    labels = arrays.pop("labels", None)
    if len(arrays) == len(source.names) == 1:
        arrays = {source.names[0]: next(iter(arrays.values()))}
    count = len(next(iter(arrays.values())))
    return [{name: _shaped(value[place], source.ranks.get(name)) for name, value in arrays.items()}
            for place in range(count)], labels  # fmt: skip


def _shaped(value: Any, rank: int | None) -> Any:
    value = np.asarray(value, np.float32) if value.dtype.kind == "f" else np.asarray(value)
    return value if rank == value.ndim else value[None]


def _torch(module: Any, names: list[str], job: Mapping[str, Any]) -> Source:
    import torch

    def run(sample: Sample) -> dict[str, Any]:
        with torch.inference_mode():
            found = module(*(torch.from_numpy(sample[name]) for name in names))
        items = found if isinstance(found, Mapping) else found if isinstance(found, list | tuple) else [found]
        named = items if isinstance(items, Mapping) else dict(enumerate(items))
        return {str(key): value.numpy() for key, value in named.items()}

    ranks = {given["name"] or names[place]: len(given["shape"]) for place, given in enumerate(job["inputs"])}
    return Source("", job["path"], module, names, ranks, run)


def _pytorch(job: Mapping[str, Any]) -> Source:
    import torch

    path = Path(job["path"])
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # noqa: S101 - a .py file has a loader
    assert spec.loader is not None  # noqa: S101 - as above
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    module = getattr(code, job["factory"])()
    if job["weights"]:
        module.load_state_dict(torch.load(job["weights"], weights_only=True))
    module.eval()
    parameters = inspect.signature(module.forward).parameters.values()
    return _torch(module, [item.name for item in parameters if item.default is item.empty], job)


def _program(job: Mapping[str, Any]) -> Source:
    import torch

    program = torch.export.load(job["path"])
    return _torch(program.module(), list(program.graph_signature.user_inputs), job)


def _script(job: Mapping[str, Any]) -> Source:
    import torch

    module = torch.jit.load(job["path"]).eval()
    return _torch(module, [item.name for item in module.forward.schema.arguments[1:]], job)


def _keras(job: Mapping[str, Any]) -> Source:
    import keras

    model = keras.models.load_model(job["path"], compile=False)
    names = [item.name for item in model.inputs]

    def run(sample: Sample) -> dict[str, Any]:
        given = [sample[name] for name in names]
        found = model(given[0] if len(given) == 1 else given, training=False)
        items = found if isinstance(found, Mapping) else dict(enumerate(found if isinstance(found, list) else [found]))
        return {str(key): keras.ops.convert_to_numpy(value) for key, value in items.items()}

    return Source("", job["path"], model, names, {item.name: len(item.shape) for item in model.inputs}, run)


def _saved(job: Mapping[str, Any]) -> Source:
    import tensorflow as tf

    loaded = tf.saved_model.load(job["path"])
    signature = loaded.signatures[job["signature"] or "serving_default"]
    specs = signature.structured_input_signature[1]

    def run(sample: Sample) -> dict[str, Any]:
        found = signature(**{name: tf.constant(value) for name, value in sample.items()})
        return {name: value.numpy() for name, value in found.items()}

    return Source("", job["path"], loaded, list(specs), {name: len(spec.shape) for name, spec in specs.items()}, run)


def _onnx(job: Mapping[str, Any]) -> Source:
    import onnxruntime

    session = onnxruntime.InferenceSession(job["path"], providers=["CPUExecutionProvider"])
    outputs = [item.name for item in session.get_outputs()]
    ranks = {item.name: len(item.shape) for item in session.get_inputs()}
    return Source("", job["path"], session, list(ranks), ranks,
                  lambda sample: dict(zip(outputs, session.run(outputs, dict(sample)), strict=True)))  # fmt: skip


def _tflite(job: Mapping[str, Any]) -> Source:
    from tflite_calls import opened, signatures

    interpreter, runner = signatures(Path(job["path"]), job["signature"])
    details = runner.get_input_details() if runner else {item["name"]: item for item in interpreter.get_input_details()}
    ranks = {name: len(item["shape"]) for name, item in details.items()}
    source = Source("", job["path"], interpreter, list(ranks), ranks, lambda _: {}, job["signature"])
    run = opened(Path(job["path"]), source)
    source.run = lambda sample: {str(place): value for place, value in enumerate(run(sample))}
    return source


LOADERS: Mapping[str, Callable[[Mapping[str, Any]], Source]] = {
    "pytorch": _pytorch, "exported-program": _program, "torchscript": _script, "keras": _keras, "savedmodel": _saved,
    "onnx": _onnx, "tflite": _tflite,
}  # fmt: skip
