"""Models that became C: whether they compute what LiteRT's reference kernels compute, and what memory they take.

The models: small ones written operator by operator, networks trained on the digits of scikit-learn, and with `--extra`
every .tflite file of a folder and those below it. Each is given 1,000 random inputs over the whole range of its type
and, where there are any, 1,000 real ones: digits, or arrays of the model's shape in the .npz files beside it. Its arena
is compared with the smallest in which TensorFlow Lite Micro runs the same file. Code and stack are those of a build for
a Cortex-M4 with -Os, where the cross compiler is installed: the stack's deepest frames of a layer, a kernel and below.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from alternating import Check, conclude
from numpy.typing import NDArray

from edgekit.artifact import Footprint
from edgekit.errors import ConversionError
from edgekit_converters.c.compile import compile_tflite
from edgekit_converters.tflm.arena import measure_arena

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from models.c_cases import CASES, case_file
from models.c_reference import Reference
from models.trained_digits import trained
from peers import c_program

OPTIMIZED: Final = ("-O2", "-ffp-contract=off")
SANITIZED: Final = 20
"""How many inputs are run under the address and undefined-behaviour sanitizers too."""
FP32_BAR: Final = 1e-5
SPARE: Final = 1 << 22

Array = NDArray[Any]
Sample = Sequence[Array]


@dataclass(frozen=True)
class Model:
    """A TFLite file with real inputs for it, where there are any."""

    name: str
    content: bytes
    real: Sequence[Sample] = ()


@dataclass(frozen=True)
class Result:
    """What became of one model."""

    name: str
    kind: str
    random: int
    real: int
    different: int
    worst: float
    arena: int
    micro: int
    weights: int
    code: int
    stack: int
    macs: int

    @property
    def ratio(self) -> float:
        """Our arena by TensorFlow Lite Micro's."""
        return self.arena / self.micro

    @property
    def integer(self) -> bool:
        """Whether it is an int8 model, which must be equal to the bit."""
        return self.kind == "int8"


def _models(extra: str, *, quick: bool) -> Iterator[Model]:
    for name in CASES:
        for kind in ("int8", "float32"):
            yield Model(f"{name} {kind}", case_file(name, kind))
    for name, content, images in () if quick else trained():
        (detail,) = Reference(content).inputs
        yield Model(name, content, [[_fitted(image, detail)] for image in images])
    for path in sorted(Path(extra).rglob("*.tflite")) if extra else ():
        content = path.read_bytes()
        try:
            yield Model(path.stem, content, list(_beside(path, Reference(content))))
        except (ValueError, RuntimeError) as error:
            print(f"{path.name}: LiteRT does not take it: {str(error).splitlines()[0][:100]}", file=sys.stderr)


def _beside(path: Path, reference: Reference) -> Iterator[Sample]:
    """Arrays of the one input's shape in the .npz files beside a model, in the input's type."""
    if len(reference.inputs) != 1:
        return
    detail = reference.inputs[0]
    shape = tuple(int(size) for size in detail["shape"])
    for archive in sorted(path.parent.glob("*.npz")):
        with np.load(archive, allow_pickle=False) as arrays:
            found = [arrays[key] for key in arrays.files]
        for array in found:
            if array.ndim > 1 and array[0].size == np.prod(shape) and array.dtype.kind in "fiu":
                yield from ([_fitted(one.reshape(shape), detail)] for one in array)


def _fitted(value: Array, detail: Any) -> Array:
    dtype, (scale, zero) = np.dtype(detail["dtype"]), detail["quantization"]
    if value.dtype == dtype:
        return value
    if value.dtype == np.uint8 and dtype == np.int8:
        return (value.astype(np.int16) - 128).astype(np.int8)
    real = value.astype(np.float32) / (255 if value.dtype == np.uint8 else 1)
    return np.clip(np.rint(real / scale) + zero, -128, 127).astype(dtype) if dtype == np.int8 else real.astype(dtype)


def _result(model: Model, count: int) -> Result:
    reference = Reference(model.content)
    real = model.real[:count]
    samples = [*reference.samples(count), *real]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        footprint = _written(model.content, reference, folder)
        expected = [reference.run(sample) for sample in samples]
        optimized, sanitized = c_program.build(folder, OPTIMIZED, "fast"), c_program.build(folder)
        got = c_program.run(optimized, samples, expected[0])
        got += c_program.run(sanitized, samples[:SANITIZED], expected[0])
        wanted = [*expected, *expected[:SANITIZED]]
        pairs = [pair for one, other in zip(wanted, got, strict=True) for pair in zip(one, other, strict=True)]
        code, stack = _cross(folder)
        (folder / "model.tflite").write_bytes(model.content)
        enough = footprint.arena_bytes * 4 + len(model.content) + SPARE
        micro = measure_arena(folder / "model.tflite", len(reference.inputs), enough)
    return Result(
        name=model.name,
        kind="int8" if "int8" in reference.dtypes else "fp32",
        random=count,
        real=len(real),
        different=sum(not np.array_equal(wanted, found) for wanted, found in pairs),
        worst=max(_relative(wanted, found) for wanted, found in pairs),
        arena=footprint.arena_bytes,
        micro=micro,
        weights=footprint.weight_bytes,
        code=code,
        stack=stack,
        macs=footprint.macs,
    )


def _written(content: bytes, reference: Reference, folder: Path) -> Footprint:
    source, footprint = compile_tflite(content, *reference.specs())
    (folder / "model.c").write_text(source.code)
    (folder / "model.h").write_text(source.header)
    return footprint


def _relative(wanted: Array, found: Array) -> float:
    """The largest difference by the largest value."""
    difference = np.abs(wanted.astype(np.float64) - found.astype(np.float64)).max(initial=0.0)
    return float(difference / max(float(np.abs(wanted.astype(np.float64)).max(initial=0.0)), 1e-30))


def _cross(folder: Path) -> tuple[int, int]:
    """Bytes of code on a Cortex-M4, and of the deepest stack: the largest frames of a layer, a kernel and below."""
    if not shutil.which("arm-none-eabi-gcc"):
        return 0, 0
    built = folder / "model.o"
    subprocess.run(
        ["arm-none-eabi-gcc", *c_program.STRICT, *c_program.CROSS, "-Os", "-ffunction-sections", "-fstack-usage", "-c",
         "-o", built, folder / "model.c"],
        check=True,
    )  # fmt: skip
    listed = subprocess.run(["arm-none-eabi-size", "-A", built], capture_output=True, text=True, check=True).stdout
    code = sum(int(size) for size in re.findall(r"^\.text\S*\s+(\d+)", listed, re.MULTILINE))
    usage = [line.split("\t") for line in (folder / "model.su").read_text().splitlines()]
    frames = {place.rsplit(":", 1)[-1]: int(size) for place, size, _ in usage}
    layers = max((size for name, size in frames.items() if name.startswith("layer_")), default=0)
    kernels = sorted(size for name, size in frames.items() if not name.startswith(("layer_", "edgekit_")))
    return code, frames.get("edgekit_invoke", 0) + layers + sum(kernels[-2:])


def _lines(results: Sequence[Result]) -> list[str]:
    exact = [(it.random, it.real, it.different, f"{it.worst:.1g}") for it in results]
    memory = [
        (it.arena, it.micro, f"{it.ratio:.2f}", it.weights, it.code, it.stack, f"{it.macs / 1e6:.3f}") for it in results
    ]
    names = [it.name for it in results]
    return [
        *_table(("random", "real", "differ", "worst"), names, exact),
        "",
        *_table(("arena", "TFLM", "ratio", "weights", "code", "stack", "MMAC"), names, memory),
    ]


def _table(heads: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    for name, row in zip(("model", *names), (heads, *rows), strict=True):
        yield f"{name[:34]:34}" + "".join(f"{cell!s:>9}" for cell in row)


def main() -> int:
    """Compare every model, and judge what differs and what memory it takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--extra", default="", help="A folder of .tflite files.")
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="Without the trained networks.")
    given = parser.parse_args()
    results, refused = [], []
    for model in _models(given.extra, quick=given.quick):
        try:
            results.append(_result(model, given.inputs))
        except ConversionError as error:
            refused.append(f"{model.name}: {error.cause}")
    integer, real = ([it for it in results if it.integer is kind] for kind in (True, False))
    checks = [
        Check("outputs of int8 models that differ", sum(it.different for it in integer), 0),
        Check("int8 models", len(integer), 1e9, least=8),
        Check("the worst fp32 output, relative", max(it.worst for it in real), FP32_BAR),
        Check("the largest arena by TFLM's", max(it.ratio for it in results), 1.0),
    ]
    facts = {it.name: it.__dict__ | {"ratio": round(it.ratio, 3)} for it in results}
    return conclude("c", [*_lines(results), *(f"refused: {line}" for line in refused)], {"models": facts}, checks)


if __name__ == "__main__":
    sys.exit(main())
