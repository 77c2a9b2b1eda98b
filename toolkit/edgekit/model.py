"""What the user has: a source model, and the tensors that go in and come out."""

from typing import Final, Literal, TypeAlias

import msgspec

SourceKind: TypeAlias = Literal["pytorch", "exported-program", "torchscript", "keras", "savedmodel", "onnx", "tflite"]
"""How a source model is stored: `file.py:factory`, `.pt2`, TorchScript, `.keras`/`.h5`, SavedModel folder, …"""

Representation: TypeAlias = Literal["torch", "tensorflow", "onnx", "tflite"]
"""What a source model is loaded into before it is converted."""

BATCH: Final = 1
"""The batch size that a free batch dimension is fixed to: edge devices infer one sample at a time."""

Dim: TypeAlias = int | str
"""A dimension: its size, or the name of a dynamic one."""


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """Affine quantization: real = (stored - zero_point) * scale (TFLite 8-bit specification).

    One scale and zero point for per-tensor, one a channel of `axis` for per-channel.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One input or output.

    Attributes:
        name: The name in the source model.
        shape: Sizes in order, batch first where there is one; a string names a dynamic dimension.
        dtype: NumPy's name of the element type, such as `float32`.
        layout: `NCHW` or `NHWC` where it is known.
        binding: The name, or position, that the model file itself uses, where it differs from `name`.
        quantization: How the stored integers map to real numbers; None for real-valued tensors.
    """

    name: str
    shape: tuple[Dim, ...]
    dtype: str
    layout: str = ""
    binding: str = ""
    quantization: Quantization | None = None

    @property
    def real_dtype(self) -> str:
        """The element type of the values that it stands for: `float32` where integers are stored for real numbers."""
        return self.dtype if self.quantization is None else "float32"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs and outputs of a model, in the order of its call."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class SourceModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A source model as the user names it; nothing is loaded yet.

    Attributes:
        kind: How it is stored.
        path: The file or folder.
        factory: The function in `path` that builds the model (kind `pytorch`).
        weights: The checkpoint that goes into the built model (kind `pytorch`).
        inputs: Shapes and dtypes that the user gave; names must exist in the model.
        trusted: The user said that code in this file may run.
        signature: Which of the file's signatures is meant; empty where there is one (kinds `savedmodel`, `tflite`).
    """

    kind: SourceKind
    path: str
    factory: str = ""
    weights: str = ""
    inputs: tuple[TensorSpec, ...] = ()
    trusted: bool = False
    signature: str = ""
