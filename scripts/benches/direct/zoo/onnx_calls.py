"""ONNX by torch.onnx, Keras' export and tf2onnx; int8 by ONNX Runtime's defaults."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sources import Sample, Source


def _from_torch(source: "Source", precision: str, folder: Path) -> Path:
    import torch

    plain = folder.parent / "float.onnx"
    if not plain.exists():
        torch.onnx.export(source.held, source.example(), str(plain), external_data=False)
    return _in(precision, plain, source, folder)


def _from_keras(source: "Source", precision: str, folder: Path) -> Path:
    plain = folder / "float.onnx"
    source.run(source.samples[0])
    source.held.export(str(plain), format="onnx")
    return _in(precision, plain, source, folder)


def _from_saved(source: "Source", precision: str, folder: Path) -> Path:
    words = ["--saved-model", source.path, "--signature_def", source.signature or "serving_default"]
    return _in(precision, _tf2onnx(words, folder), source, folder)


def _from_tflite(source: "Source", precision: str, folder: Path) -> Path:
    return _in(precision, _tf2onnx(["--tflite", source.path], folder), source, folder)


def _from_onnx(source: "Source", precision: str, folder: Path) -> Path:
    return _in(precision, Path(source.path), source, folder)


def _tf2onnx(words: list[str], folder: Path) -> Path:
    plain = folder / "float.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "tf2onnx.convert", *words, "--output", str(plain)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if not plain.exists():
        raise SystemExit(f"tf2onnx: {next(iter(reversed(done.stderr.splitlines())), 'it left no file')}")
    return plain


def _in(precision: str, plain: Path, source: "Source", folder: Path) -> Path:
    from onnxruntime.quantization import quantize_dynamic, quantize_static

    model = folder / "model.onnx"
    if precision == "fp32":
        return plain
    if precision == "dynamic-int8":
        quantize_dynamic(str(plain), str(model))
    elif precision == "int8":
        quantize_static(str(plain), str(model), _Reader(plain, source))
    else:
        raise SystemExit(f"ONNX Runtime's quantization has no {precision}")
    return model


class _Reader:
    """Calibration samples one by one."""

    def __init__(self, plain: Path, source: "Source") -> None:
        names = [item.name for item in _session(plain).get_inputs()]
        self._left: Iterator[dict[str, Any]] = iter([_given(names, source, one) for one in source.samples])

    def get_next(self) -> dict[str, Any] | None:
        """The next, None behind the last."""
        return next(self._left, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        """All are given at once."""


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _given(names: list[str], source: "Source", sample: "Sample") -> dict[str, Any]:
    own = names if set(names) == set(source.names) else source.names
    return {name: sample[other] for name, other in zip(names, own, strict=True)}


def opened(path: Path, source: "Source") -> "Callable[[Sample], list[Any]]":
    """Runs a file."""
    session = _session(path)
    names = [item.name for item in session.get_inputs()]
    return lambda sample: [np.asarray(value) for value in session.run(None, _given(names, source, sample))]


CALLS = {
    ("torch", "onnx"): _from_torch, ("keras", "onnx"): _from_keras, ("savedmodel", "onnx"): _from_saved,
    ("tflite", "onnx"): _from_tflite, ("onnx", "onnx"): _from_onnx,
}  # fmt: skip
