"""Real numbers to the bytes that a model compiled to C takes, and back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from edgekit.errors import MeasurementError
from edgekit.model import TensorSpec
from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.typed import typed_errors
from edgekit_bridge.serial.board import BoardTensor

if TYPE_CHECKING:
    from edgekit.protocols import Array


def match(specs: Sequence[TensorSpec], tensors: Sequence[BoardTensor]) -> tuple[int, ...]:
    """For each tensor of the artifact its place on the board: by name where all names are known, else in order.

    Raises:
        MeasurementError: There are not as many, or one has another size.
    """
    import numpy as np

    names = {tensor.name: place for place, tensor in enumerate(tensors)}
    wanted = [spec.binding or spec.name for spec in specs]
    places = tuple(names[name] for name in wanted) if set(wanted) == set(names) else tuple(range(len(specs)))
    for spec, place in zip(specs, places, strict=True):
        tensor = tensors[place] if place < len(tensors) else None
        count = int(np.prod([int(dim) for dim in spec.shape], dtype=np.int64))
        if tensor is None or len(tensors) != len(specs) or tensor.size != count * np.dtype(tensor.dtype).itemsize:
            raise MeasurementError(
                f"The firmware's tensors are not the artifact's: {spec.name!r} has shape {spec.shape}, there is "
                f"{tensor.shape if tensor else 'none'}.",
                hint="Build the firmware from this artifact, and flash it again.",
            )
    return places


def stored(spec: TensorSpec, tensor: BoardTensor, value: "Array") -> bytes:
    """What the board takes for an input; real numbers are quantized where it takes integers.

    Raises:
        UsageError: The board cannot hold it.
    """
    import numpy as np

    array = np.asarray(value)
    with typed_errors():
        on_device.check_shape(msgspec.to_builtins(spec), spec.shape, array)
        if on_device.is_integer(tensor.dtype) and array.dtype.kind == "f":
            return bytes(_affine(tensor).store(array, np.dtype(tensor.dtype)).tobytes())
        return bytes(on_device.as_type(array, np.dtype(tensor.dtype), spec.name).tobytes())


def real(spec: TensorSpec, tensor: BoardTensor, data: bytes) -> "Array":
    """An output as the source gives it: integers that stand for real numbers are dequantized."""
    import numpy as np

    found: Any = np.frombuffer(data, np.dtype(tensor.dtype)).reshape([int(dim) for dim in spec.shape])
    stands_for_real = spec.quantization is not None or np.dtype(spec.dtype).kind == "f"
    if on_device.is_integer(found.dtype) and tensor.scale and stands_for_real:
        found = _affine(tensor).load(found)
    return np.asarray(found)


def _affine(tensor: BoardTensor) -> on_device.Affine:
    if not tensor.scale:
        raise on_device.HarnessError("bad-input", f"{tensor.name!r} takes integers and has no scale.")
    return on_device.Affine([tensor.scale], [tensor.zero_point], 0, len(tensor.shape))
