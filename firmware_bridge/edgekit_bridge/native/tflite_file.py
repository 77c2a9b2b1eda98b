"""The tensors of a .tflite file as other programs read and write them: raw bytes, in the file's order."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgekit.errors import MeasurementError, UsageError
from edgekit.model import Signature
from edgekit_bridge.harness import on_device

if TYPE_CHECKING:
    from edgekit.protocols import Array, Tensors


class TfliteFile(on_device.TfliteModel):
    """A .tflite file, opened on this host."""

    def raw_inputs(self, values: "Tensors") -> list[bytes]:
        """Inputs by name, quantized where the file takes integers."""
        self.set_inputs(dict(values))
        held = self._interpreter
        return [held.get_tensor(detail["index"]).tobytes() for detail in held.get_input_details()]

    def sizes(self) -> tuple[int, list[int]]:
        """How many inputs there are, and the bytes of each output."""
        import numpy as np

        held = self._interpreter
        sizes = [
            int(np.prod(detail["shape"], dtype=np.int64)) * np.dtype(detail["dtype"]).itemsize
            for detail in held.get_output_details()
        ]
        return len(held.get_input_details()), sizes

    def real_outputs(self, data: bytes) -> "dict[str, Array]":
        """Outputs by name, dequantized; of an output that is cut off, what there is of it."""
        import numpy as np

        details = self._interpreter.get_output_details()
        found: dict[int, Any] = {}
        for place, detail in enumerate(details):
            kind = np.dtype(detail["dtype"])
            size = int(np.prod(detail["shape"], dtype=np.int64)) * kind.itemsize
            piece, data = (data, b"") if place == len(details) - 1 else (data[:size], data[size:])
            array = np.frombuffer(piece[: len(piece) // kind.itemsize * kind.itemsize], kind)
            found[detail["index"]] = array.reshape(detail["shape"]) if len(piece) == size else array
        return {spec["name"]: on_device.real(spec, detail, found[detail["index"]]) for spec, detail in self._outputs}


def open_tflite(model: Path, signature: Signature) -> TfliteFile:
    """Open a .tflite file.

    Raises:
        UsageError: LiteRT is not installed on this host.
        MeasurementError: It cannot be opened.
    """
    inputs, outputs = msgspec.to_builtins((signature.inputs, signature.outputs))
    try:
        return TfliteFile(str(model), inputs, outputs, threads=1, engine="", delegate="none")
    except on_device.HarnessError as error:
        if error.kind == "no-runtime":
            raise UsageError(
                f"The tensors of {model.name} are read by LiteRT, which is not installed here.",
                hint="pip install 'edgekit-toolkit[tflite]'",
            ) from None
        raise MeasurementError(f"{model.name} cannot be opened: {error}") from None
