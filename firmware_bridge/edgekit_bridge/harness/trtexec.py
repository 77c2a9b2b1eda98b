"""What trtexec is told and what it writes: pure.

Options and formats are those of TensorRT's own sources (github.com/NVIDIA/TensorRT: samples/trtexec/README.md,
samples/common/sampleOptions.cpp and sampleReporting.cpp), from TensorRT 8.0 (JetPack 4.6) to 10. They have not been
tried on hardware.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit.errors import MeasurementError, UsageError
from edgekit.model import BATCH, TensorSpec

if TYPE_CHECKING:
    from edgekit.protocols import Array

UNTESTED: Final = "untested on hardware"

PLACES: Final = ("trtexec", "/usr/src/tensorrt/bin/trtexec")
"""Where it is: on the PATH, or where JetPack puts it."""

_WORKSPACE_MIB: Final = 1024
"""Scratch memory for kernels in TensorRT before 8.4, which takes 16 MiB by itself; later ones take what there is."""

_PRECISION: Final[Mapping[str, Sequence[str]]] = {
    "fp32": ("--noTF32",),
    "fp16": ("--fp16",),
    "int8": ("--int8",),
}
"""What lets the builder use an artifact's precision; for fp32, what keeps it from rounding to TF32's 10 bits."""

_INT64_SINCE: Final = 10
"""Before TensorRT 10, 64-bit integers of an ONNX file are 32-bit ones of the engine."""

_HINT: Final = "It writes what no known TensorRT writes; please report it with its version."


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """trtexec on a device: where it is, its TensorRT's version, and the options that its help names."""

    path: str
    version: tuple[int, ...]
    options: frozenset[str]

    @property
    def title(self) -> str:
        """How the runtime is called."""
        return f"TensorRT {'.'.join(map(str, self.version)) or 'of an unknown version'}, trtexec ({UNTESTED})"

    def known(self, *words: str) -> list[str]:
        """Those of the options that this one has."""
        return [word for word in words if word.partition("=")[0] in self.options]


def read_help(path: str, text: str) -> Tool:
    """Version and options, from `trtexec --help`.

    The first line tells the version: `&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --help` is 8.5.2, and
    since TensorRT 10 `v100300` is 10.3.0.
    """
    told = re.search(r"\[TensorRT v(\d+)\]", text)
    version: tuple[int, ...] = ()
    if told:
        whole, number = int(told[1]), 10_000 if len(told[1]) > len("8502") else 1_000
        version = whole // number, whole % number // 100, whole % 100
    return Tool(path=path, version=version, options=frozenset(re.findall(r"--\w+", text)))


def build_argv(tool: Tool, *, onnx: str, engine: str, precision: str, inputs: Sequence[TensorSpec]) -> list[str]:
    """Builds an engine and does nothing else.

    Raises:
        UsageError: TensorRT has no engine of this precision.
    """
    if precision not in _PRECISION:
        raise UsageError(
            f"TensorRT runs no {precision} of ONNX: it quantizes activations by ranges that the file holds.",
            hint="Convert to fp32, fp16 or int8.",
        )
    memory = [] if tool.known("--memPoolSize") else tool.known(f"--workspace={_WORKSPACE_MIB}")
    stop = tool.known("--skipInference") or tool.known("--buildOnly")
    return [
        tool.path,
        f"--onnx={onnx}",
        f"--saveEngine={engine}",
        *tool.known(*_PRECISION[precision]),
        *memory,
        *shapes(inputs),
        *stop,
    ]


def run_argv(tool: Tool, *, engine: str, inputs: Sequence[TensorSpec], files: Sequence[str]) -> list[str]:
    """Loads an engine and gives it these inputs, raw files in the order of the signature."""
    values = ",".join(f"{_quoted(bound(spec))}:{file}" for spec, file in zip(inputs, files, strict=True))
    return [tool.path, f"--loadEngine={engine}", f"--loadInputs={values}", *shapes(inputs)]


def once(output: str) -> list[str]:
    """Runs once, and writes the outputs."""
    return ["--iterations=1", "--warmUp=0", "--duration=0", f"--exportOutput={output}"]


def timed(times: str, *, least: int, least_s: float, warmup_s: float) -> list[str]:
    """Runs for this many inferences and seconds at least (whole ones), and writes the times of each."""
    return [
        f"--iterations={least}",
        f"--warmUp={round(1000 * warmup_s)}",
        f"--duration={math.ceil(least_s)}",
        "--useSpinWait",
        f"--exportTimes={times}",
    ]


def shapes(inputs: Sequence[TensorSpec]) -> list[str]:
    """The option that fixes free dimensions; none when every shape is fixed."""
    if all(isinstance(size, int) for spec in inputs for size in spec.shape):
        return []
    words = [f"{_quoted(bound(spec))}:{'x'.join(map(str, fixed(spec)))}" for spec in inputs]
    return [f"--shapes={','.join(words)}"]


def fixed(spec: TensorSpec) -> tuple[int, ...]:
    """A shape whose free dimensions are one sample."""
    return tuple(size if isinstance(size, int) else BATCH for size in spec.shape)


def bound(spec: TensorSpec) -> str:
    """What the ONNX file calls a tensor."""
    return spec.binding or spec.name


def _quoted(name: str) -> str:
    return f"'{name}'" if ":" in name or "," in name else name


def stored_type(tool: Tool, dtype: str) -> str:
    """The element type in which an engine takes an input of this type."""
    if dtype in {"int64", "uint64"} and (tool.version or (0,))[0] < _INT64_SINCE:
        return "int32"
    return "float32" if dtype == "float64" else dtype


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One inference in the file of `--exportTimes`, milliseconds."""

    start: float = msgspec.field(name="startComputeMs")
    compute: float = msgspec.field(name="computeMs")
    h2d: float = msgspec.field(name="h2dMs")
    d2h: float = msgspec.field(name="d2hMs")
    latency: float = msgspec.field(name="latencyMs")


def read_times(data: bytes) -> list[Timing]:
    """Every inference, in the order in which they began; warm-up is among them.

    Raises:
        MeasurementError: It is none of these files, or says nothing of any inference.
    """
    try:
        found = msgspec.json.decode(data, type=list[Timing])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MeasurementError(f"trtexec's times cannot be read: {error}.", hint=_HINT) from None
    if not found or min(item.compute for item in found) <= 0:
        raise MeasurementError("trtexec's times tell of no inference that took time.", hint=_HINT)
    return sorted(found, key=lambda item: item.start)


class _Output(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    values: list[float | None]


_NO_NUMBER: Final = re.compile(rb"(?<=[\[\s,])[+-]?(?:nan|inf)(?=[\]\s,])", re.IGNORECASE)
"""What C++ writes for a number that is none, in the place of a value; JSON has no word for it."""


def read_outputs(data: bytes) -> "dict[str, Array]":
    """The file of `--exportOutput`: values by the engine's names, flat.

    Raises:
        MeasurementError: It is none of these files.
    """
    import numpy as np

    try:
        found = msgspec.json.decode(_NO_NUMBER.sub(b"null", data), type=list[_Output])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MeasurementError(f"trtexec's outputs cannot be read: {error}.", hint=_HINT) from None
    return {item.name: np.array([math.nan if value is None else value for value in item.values]) for item in found}


class _Layer(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    average_ms: float = msgspec.field(name="averageMs", default=0.0)


def read_profile(data: bytes) -> list[tuple[str, int]]:
    """The file of `--exportProfile`: layers with their mean time in nanoseconds; its first entry counts inferences.

    Raises:
        MeasurementError: It is none of these files.
    """
    try:
        layers = msgspec.json.decode(data, type=list[_Layer])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MeasurementError(f"trtexec's profile cannot be read: {error}.", hint=_HINT) from None
    return [(layer.name, round(1e6 * layer.average_ms)) for layer in layers if layer.name]


def load_ns(output: str) -> int:
    """What loading the engine took, by trtexec's log; 0 where it does not say."""
    told = re.search(r"Engine (?:loaded|deserialized) in ([\d.]+(?:e-?\d+)?) sec", output)
    return round(1e9 * float(told[1])) if told else 0


def complaint(output: str) -> str:
    """Why it failed: what it marks as errors, else the end of what it wrote."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.split("[E]", 1)[1].strip() for line in lines if "[E]" in line]
    return " | ".join(errors[:3] or lines[-3:]) or "it wrote nothing"
