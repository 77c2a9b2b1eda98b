"""TensorFlow Lite Micro on this host, in a process of its own: it ends its process on a model that it cannot take.

LiteRT opens the same file to tell names, types and scales; only its numbers are not used.
"""

import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from edgekit.errors import MeasurementError
from edgekit.fingerprint import package_version
from edgekit.model import Signature
from edgekit.plan import Format
from edgekit.protocols import Array, Requirement, Runtime, Tensors
from edgekit_bridge.harness.typed import typed_errors
from edgekit_bridge.native.tflite_file import TfliteFile, open_tflite

_ARENA_BYTES: Final = 1 << 26
"""More than any microcontroller has."""

_PROGRAM: Final = """
import os, sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime

out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
with open(sys.argv[1], "rb") as file:
    interpreter = runtime.Interpreter.from_bytes(file.read(), arena_size=int(sys.argv[2]))
inputs = [interpreter.get_input_details(place) for place in range(int(sys.argv[3]))]
while True:
    for place, detail in enumerate(inputs):
        size = int(np.prod(detail["shape"], dtype=np.int64)) * np.dtype(detail["dtype"]).itemsize
        data = sys.stdin.buffer.read(size)
        if len(data) < size:
            sys.exit(0)
        interpreter.set_input(np.frombuffer(data, detail["dtype"]).reshape(detail["shape"]), place)
    interpreter.invoke()
    for place in range(int(sys.argv[4])):
        out.write(np.asarray(interpreter.get_output(place)).tobytes())
    out.flush()
"""
"""Inputs of one inference in, one after the other; outputs back, likewise."""


class _Session:
    def __init__(self, model: Path, file: TfliteFile) -> None:
        self._file = file
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - ends with the session
        inputs, self._sizes = file.sizes()
        words = [str(model), str(_ARENA_BYTES), str(inputs), str(len(self._sizes))]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        self._end = weakref.finalize(self, _end, self._process)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once; real-valued inputs and outputs by the source's names."""
        into, back = self._process.stdin, self._process.stdout
        if into is None or back is None:
            raise MeasurementError("TensorFlow Lite Micro's process has no pipes.")
        size = sum(self._sizes)
        try:
            with typed_errors():
                given = self._file.raw_inputs(inputs)
            into.write(b"".join(given))
            into.flush()
            data = back.read(size)
        except BrokenPipeError:
            data = b""
        if len(data) < size:
            raise MeasurementError(f"TensorFlow Lite Micro does not take this model: {self._reason()}")
        return self._file.real_outputs(data)

    def _reason(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[0][:300] if lines else f"its process ended with {code}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


class _MicroRuntime:
    name = "TensorFlow Lite Micro"
    format: Format = "tflm"
    requires: Sequence[Requirement] = (
        Requirement(module="tflite_micro", extra="tflm"),
        Requirement(module="ai_edge_litert", extra="tflite"),
    )

    def describe(self) -> str:
        """The interpreter with its version."""
        return f"TensorFlow Lite Micro, tflite-micro {package_version('tflite-micro')}"

    def open(self, model: Path, signature: Signature, *, threads: int, engine: str) -> _Session:  # noqa: ARG002 - one thread, no engines
        """Load a model in a process of its own.

        Raises:
            MeasurementError: LiteRT cannot read its names and types.
        """
        return _Session(model, open_tflite(model, signature))


RUNTIME: Runtime = _MicroRuntime()
