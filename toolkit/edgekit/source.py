"""What the user means by SOURCE: the kind of model, told by suffix and first bytes, without any framework."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgekit.errors import UsageError
from edgekit.model import SourceKind, SourceModel, TensorSpec

_KINDS: Final[dict[str, SourceKind]] = {
    ".pt2": "exported-program",
    ".pt": "torchscript",
    ".pth": "torchscript",
    ".ts": "torchscript",
    ".jit": "torchscript",
    ".torchscript": "torchscript",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".tflite": "tflite",
}

DESCRIPTIONS: Final[dict[SourceKind, str]] = {
    "pytorch": "PyTorch: `file.py:factory` (with `--weights`)",
    "exported-program": "PyTorch: exported program, `.pt2`",
    "torchscript": "PyTorch: TorchScript file",
    "keras": "Keras: `.keras`, `.h5`",
    "savedmodel": "TensorFlow: SavedModel folder",
    "onnx": "ONNX: `.onnx`",
    "tflite": "TFLite: float `.tflite`",
}
"""Each kind of source model, for people."""

_SIGNED: Final = {"savedmodel", "tflite"}

_KNOWN: Final = "a .pt2, TorchScript (.pt), .keras, .h5, .onnx or .tflite file, a SavedModel folder, or file.py:factory"


def open_source(
    text: str,
    *,
    weights: str = "",
    inputs: Sequence[TensorSpec] = (),
    trusted: bool = False,
    signature: str = "",
) -> SourceModel:
    """Find the source model that `text` names.

    Args:
        text: A file, a folder, or `file.py:factory`.
        weights: The checkpoint for a factory.
        inputs: Shapes and dtypes that the user gave.
        trusted: Whether code in the file may run.
        signature: Which of the file's signatures is meant.

    Raises:
        UsageError: It is missing, empty, or of no kind that edgekit reads.
    """
    file, _, factory = text.rpartition(":") if ".py:" in text else (text, "", "")
    path = Path(file)
    if not path.exists():
        raise UsageError(f"There is no source model at {path}.", hint=f"SOURCE is {_KNOWN}.")
    kind = _kind(path, factory)
    if weights and kind != "pytorch":
        raise UsageError(f"--weights belongs to file.py:factory; {path} holds its own weights.")
    if signature and kind not in _SIGNED:
        raise UsageError(f"--signature belongs to SavedModels and TFLite files; {path} has none.")
    return SourceModel(
        kind=kind,
        path=str(path),
        factory=factory,
        weights=weights,
        inputs=tuple(inputs),
        trusted=trusted,
        signature=signature,
    )


def _kind(path: Path, factory: str) -> SourceKind:
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        raise UsageError(f"{path} is a folder without saved_model.pb.", hint=f"SOURCE is {_KNOWN}.")
    if not path.is_file():
        raise UsageError(f"{path} is not a regular file.", hint=f"SOURCE is {_KNOWN}.")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty.", hint="Save or download it again.")
    if path.suffix == ".py":
        if factory:
            return "pytorch"
        raise UsageError(f"{path} is Python; the function that builds the model is missing.", hint=f"{path}:make_net")
    if path.suffix in _KINDS:
        return _kind_of_archive(path)
    raise UsageError(
        f"{path} is of no kind that edgekit reads ({path.suffix or 'no suffix'}).", hint=f"It reads {_KNOWN}."
    )


def _kind_of_archive(path: Path) -> SourceKind:
    """An exported program may be named `.pt`, a TorchScript file `.pt2`: the members decide."""
    kind = _KINDS[path.suffix]
    if kind not in {"exported-program", "torchscript"} or not zipfile.is_zipfile(path):
        return kind
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("models/model.json") for name in names):
        return "exported-program"
    return "torchscript" if any("/code/" in name for name in names) else kind


def parse_input(text: str) -> TensorSpec:
    """Read `name=1x3x96x96:float32`; name and dtype may be left out.

    Raises:
        UsageError: The shape or the dtype is not one.
    """
    name, _, rest = text.rpartition("=")
    shape, _, dtype = rest.partition(":")
    dtype = dtype or "float32"
    try:
        dims = tuple(int(dim) for dim in shape.split("x")) if shape else ()
    except ValueError:
        dims = (0,)
    if any(dim <= 0 for dim in dims):
        raise UsageError(
            f"{text!r} is not an input: {shape!r} is not a shape.", hint="Write --input x=1x3x96x96:float32"
        )
    if dtype not in _DTYPES:
        raise UsageError(f"{text!r} is not an input: {dtype!r} is not a dtype.", hint=f"Dtypes: {', '.join(_DTYPES)}.")
    return TensorSpec(name=name, shape=dims, dtype=dtype)


_DTYPES: Final = ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
