"""A model that was compiled to C, run as a program of its own: by the host's compiler under sanitizers."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror")
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ffp-contract=off")
ARM = ("-mcpu=cortex-a7", "-mthumb", "-O2", "--specs=rdimon.specs")
"""A core with the same DSP extension whose programs QEMU runs without a board: files by semihosting."""
CROSS = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O2")

_MAIN = """
#include <stdio.h>
#include "model.h"

static uint32_t layers_seen;

static void seen(uint32_t layer)
{
    layers_seen += layer == layers_seen;
}

int main(void)
{
    for (;;) {
        for (uint32_t i = 0; i < EDGEKIT_INPUTS; ++i) {
            if (fread(edgekit_input(i), 1, edgekit_inputs[i].bytes, stdin) != edgekit_inputs[i].bytes) {
                return i != 0;
            }
        }
        layers_seen = 0;
        edgekit_invoke(seen);
        if (layers_seen != EDGEKIT_LAYERS) {
            return 2;
        }
        for (uint32_t i = 0; i < EDGEKIT_OUTPUTS; ++i) {
            fwrite(edgekit_output(i), 1, edgekit_outputs[i].bytes, stdout);
        }
    }
}
"""

Arrays = Sequence[NDArray[Any]]


def needs(program: str, package: str) -> str:
    """The program's path; skips the test where it is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (apt-get install {package})")
    return found


def build(folder: Path, options: Sequence[str] = SANITIZED, name: str = "program") -> Path:
    """Compile the folder's model.c with a main that reads inputs and writes outputs."""
    (folder / "main.c").write_text(_MAIN)
    program = folder / name
    sources = [folder / "model.c", folder / "main.c"]
    subprocess.run([needs("gcc", "gcc"), *STRICT, *options, "-o", program, *sources, "-lm"], check=True)
    return program


def build_for_arm(folder: Path) -> list[str | Path]:
    """Compile it for an Arm core with the DSP extension; gives the command that runs it in QEMU."""
    (folder / "main.c").write_text(_MAIN)
    program, emulator = folder / "arm", needs("qemu-arm-static", "qemu-user-static")
    sources = [folder / "model.c", folder / "main.c"]
    compiler = needs("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
    subprocess.run([compiler, *STRICT, *ARM, "-o", program, *sources, "-lm"], check=True)
    return [emulator, "-cpu", "cortex-a7", program]


def run(program: Path | list[str | Path], samples: Sequence[Arrays], outputs: Arrays) -> list[list[NDArray[Any]]]:
    """Each sample's outputs, of the types and shapes of `outputs`."""
    given = b"".join(array.tobytes() for sample in samples for array in sample)
    command = program if isinstance(program, list) else [program]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: list[list[NDArray[Any]]] = []
    at = 0
    for _ in samples:
        found.append([])
        for like in outputs:
            piece = done.stdout[at : at + like.nbytes]
            found[-1].append(np.frombuffer(piece, like.dtype).reshape(like.shape))
            at += like.nbytes
    return found


def listing(folder: Path) -> str:
    """The disassembly of the folder's model.c for a Cortex-M4."""
    compiler, text = needs("arm-none-eabi-gcc", "gcc-arm-none-eabi"), folder / "model.s"
    subprocess.run([compiler, *STRICT, *CROSS, "-S", "-o", text, folder / "model.c"], check=True)
    return text.read_text()
