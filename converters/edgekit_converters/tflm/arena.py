"""How much memory TensorFlow Lite Micro takes for a model: measured by its own interpreter, in a process of its own.

It ends the process on a model that it cannot take. Its allocator reports what it used; while it prepares a model it
needs a little more now and then, so a second process looks for the smallest arena from there on in which the model
runs. The host's pointers are of 64 bits: on a 32-bit core it takes less.
"""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from edgekit.errors import ConversionError

_TOTAL: Final = re.compile(r"Arena allocation total (\d+) bytes")
_ENOUGH: Final = re.compile(r"enough (\d+)")
_TIMEOUT_S: Final = 300.0
_KEPT: Final = 300

_PROGRAM: Final = """
import os
import sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime

arena, inputs, step, tries = map(int, sys.argv[2:])
with open(sys.argv[1], "rb") as file:
    content = file.read()


def run():
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
    for place in range(inputs):
        detail = interpreter.get_input_details(place)
        interpreter.set_input(np.zeros(detail["shape"], detail["dtype"]), place)
    interpreter.invoke()
    interpreter.print_allocations()


for _ in range(tries - 1):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            run()
        except RuntimeError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    arena += step
print("enough", arena, flush=True)
run()
"""
"""Load, run once, tell what was allocated; before that find, by children that may crash, an arena that is enough."""

_STEP: Final = 16
_TRIES: Final = 256


def measure_arena(model: Path, inputs: int, enough: int) -> int:
    """The arena that a model needs, bytes.

    Args:
        model: The TFLite file.
        inputs: How many inputs it has.
        enough: An arena that is large enough in any case, bytes.

    Raises:
        ConversionError: TensorFlow Lite Micro does not take the model; says what it said.
    """
    total = _told(_TOTAL, _run(model, enough, inputs, tries=1))
    return _told(_ENOUGH, _run(model, total, inputs, tries=_TRIES))


def _told(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    if found is None:
        raise ConversionError("TensorFlow Lite Micro did not tell what it allocates.", hint="Use another tflite-micro.")
    return int(found[1])


def _run(model: Path, arena: int, inputs: int, *, tries: int) -> str:
    numbers = (arena, inputs, _STEP, tries)
    command = [sys.executable, "-c", _PROGRAM, str(model), *map(str, numbers)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ConversionError(f"TensorFlow Lite Micro did not end within {_TIMEOUT_S:.0f} s.") from None
    told = done.stderr.decode(errors="replace")
    if done.returncode:
        raise ConversionError(
            f"TensorFlow Lite Micro does not take this model: {reason(told, done.returncode)}",
            hint="Format c computes more in less memory, or use format tflite.",
        )
    return done.stdout.decode() + told


def reason(told: str, code: int) -> str:
    """What an interpreter said first before it ended, else how it ended."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("Traceback", "File ", "^", "[Recording"))]
    if own:
        return own[0][:_KEPT]
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
