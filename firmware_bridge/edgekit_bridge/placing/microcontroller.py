"""Whether TensorFlow Lite Micro runs a .tflite file, and in how much memory: the tflite-micro package, asked apart.

It is C++ that ends its process when a model is too much for it, so it has one of its own.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edgekit.fingerprint import package_version
from edgekit.placement import Microcontroller

_MOST_BYTES: Final = 64 << 20
"""The arena that it is offered: many times what any microcontroller has."""

_TIMEOUT_S: Final = 60.0

_ASK: Final = """
import sys
from tflite_micro import runtime
with open(sys.argv[1], "rb") as file:
    held = runtime.Interpreter.from_bytes(file.read(), arena_size=int(sys.argv[2]))
held.invoke()
held.print_allocations()
"""

_TOTAL: Final = re.compile(r"Arena allocation total (\d+) bytes")
_UNKNOWN: Final = re.compile(r"(?:Didn't find op for builtin opcode|Failed to get registration from op code) '?(\w+)'?")


def ask_tflite_micro(model: Path) -> Microcontroller | None:
    """What it says; None where the package is not installed."""
    if find_spec("tflite_micro") is None:
        return None
    version = package_version("tflite-micro")
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK, str(model), str(_MOST_BYTES)],
            capture_output=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Microcontroller(version=version, refused=f"no answer within {_TIMEOUT_S:.0f} s")
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    total = _TOTAL.search(text)
    if done.returncode == 0 and total:
        return Microcontroller(version=version, arena_bytes=int(total[1]))
    return Microcontroller(version=version, refused=_reason(text, done.returncode))


def _reason(text: str, code: int) -> str:
    unknown = _UNKNOWN.search(text)
    if unknown:
        return f"it has no operator {unknown[1]}"
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("Traceback", "  "))]
    return lines[0][:200] if lines else f"it ended with code {code}"
