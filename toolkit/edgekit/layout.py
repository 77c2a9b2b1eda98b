"""Where the channels of an image-like tensor are: NCHW, as PyTorch and ONNX have it, or NHWC, as TensorFlow does.

`--layout` says how an artifact takes and gives its tensors of four dimensions. Data are given as the source takes them
all the same, and turned.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from edgekit.errors import UsageError
from edgekit.model import SourceKind, TensorSpec
from edgekit.suggest import did_you_mean

Layout: TypeAlias = Literal["NCHW", "NHWC"]

LAYOUTS: Final[tuple[Layout, ...]] = ("NCHW", "NHWC")
RANK: Final = 4

NATURAL: Final[dict[SourceKind, Layout]] = {
    "pytorch": "NCHW",
    "exported-program": "NCHW",
    "torchscript": "NCHW",
    "onnx": "NCHW",
    "keras": "NHWC",
    "savedmodel": "NHWC",
    "tflite": "NHWC",
}
"""What sources of each kind have; a model that differs is told apart by nobody but its author."""

_AXES: Final[dict[str, tuple[int, ...]]] = {"NHWC": (0, 2, 3, 1), "NCHW": (0, 3, 1, 2)}
"""To this layout from the other."""


def check_layout(name: str) -> None:
    """Refuse a layout that does not exist.

    Raises:
        UsageError: With the nearest that does.
    """
    if name and name not in LAYOUTS:
        raise UsageError(f"There is no layout {name!r}.", hint=did_you_mean(name, LAYOUTS, "layouts"))


def opposite(layout: str) -> Layout:
    """The other one."""
    return "NCHW" if layout == "NHWC" else "NHWC"


def axes_to(layout: str) -> tuple[int, ...]:
    """The order in which a tensor of the other layout has its axes in this one."""
    return _AXES[layout]


def turned(spec: TensorSpec, layout: str) -> TensorSpec:
    """The same tensor in this layout; tensors of other than four dimensions have none."""
    if len(spec.shape) != RANK:
        return spec
    return msgspec.structs.replace(spec, shape=tuple(spec.shape[axis] for axis in axes_to(layout)), layout=layout)


def given_as(spec: TensorSpec, layout: str) -> TensorSpec:
    """An artifact's tensor as its source has it, where `layout` is what the artifact was turned into, or empty."""
    return turned(spec, opposite(layout)) if layout and spec.layout == layout else spec


def turn(value: Any, spec: TensorSpec, layout: str) -> Any:
    """An array of the source as the artifact takes it; `spec` is the artifact's."""
    return value.transpose(axes_to(layout)) if layout and spec.layout == layout else value


def has_images(specs: Sequence[TensorSpec]) -> bool:
    """Whether any tensor has four dimensions."""
    return any(len(spec.shape) == RANK for spec in specs)
