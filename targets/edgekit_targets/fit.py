"""What will not run or fit on a kind of device, told before anything is made or sent."""

from collections.abc import Iterator
from typing import Final

from edgekit.plan import FORMATS, Format, Objection
from edgekit.target import Arch, BoardMemory, RuntimeFact, TargetProfile

RUNTIME_BYTES: Final[dict[Format, int]] = {
    "tflite": 40_000_000,
    "torchscript": 230_000_000,
    "onnx": 50_000_000,
    "c": 30_000_000,
    "ort": 50_000_000,
    "executorch": 280_000_000,
    "tflm": 30_000_000,
    "savedmodel": 960_000_000,
}
"""Resident memory of Python, NumPy and the imported runtime, before a model (measured: LiteRT 2.3 35 MB, torch 2.13
224 MB, ONNX Runtime 1.32 47 MB, ExecuTorch 1.5.1, which imports torch, 273 MB, TensorFlow 2.21 961 MB; C and TFLM have
Python and NumPy alone)."""

_SYSTEM_BYTES: Final = 128 * 2**20
"""What the device's own system keeps to itself."""

_COPIES: Final = 2
"""A model is in memory twice: the file, and the weights as the kernels repack them (XNNPACK, oneDNN, QNNPACK)."""

_ENGINES: Final[dict[Arch, frozenset[str]]] = {
    "x86_64": frozenset({"x86", "fbgemm", "onednn", "qnnpack"}),
    "aarch64": frozenset({"qnnpack"}),
    "armv7l": frozenset({"qnnpack"}),
}
"""The quantized engines of torch that exist by architecture (`torch.backends.quantized.supported_engines`)."""


_HARNESS_FLASH_BYTES: Final = 40_000
"""Code beside the weights: the harness (measured: 16 kB on a Cortex-M4) and a small network's kernels."""

_HARNESS_RAM_BYTES: Final = 20_000
"""RAM beside the arena: the harness with its line's buffers (measured: 11 kB), and a stack of 8 kB."""


def available_bytes(profile: TargetProfile) -> int:
    """What such a device has in memory beside its own system; 0 where that differs by machine."""
    return max(0, profile.memory_bytes - _SYSTEM_BYTES)


def misfits(
    profile: TargetProfile,
    *,
    format_: Format,
    model_bytes: int | None = None,
    held_bytes: int | None = None,
    engine: str = "",
    memory: BoardMemory | None = None,
) -> tuple[Objection, ...]:
    """Why a model of this kind will not run or fit there; empty when nothing speaks against it."""
    runtime = profile.runtime_for(format_)
    if runtime is None:
        return (_no_runtime(profile, format_),)
    if profile.system == "bare-metal":
        return tuple(_board_memory(profile, memory)) if memory else ()
    size = model_bytes or 0
    held = _COPIES * size if held_bytes is None else held_bytes
    return (*_memory(profile, runtime, size, RUNTIME_BYTES[format_] + held), *_engine(profile, engine))


def _no_runtime(profile: TargetProfile, format_: Format) -> Objection:
    runs = [name for name in FORMATS if profile.runtime_for(name) is not None]
    return Objection(
        cause=f"{profile.title} ({profile.arch}) has no runtime for {format_} that edgekit knows.",
        hint=f"It runs {' and '.join(runs)}: --format {runs[0]}" if runs else "Add one to its profile.",
    )


def _board_memory(profile: TargetProfile, memory: BoardMemory) -> Iterator[Objection]:
    for what, has, model, harness, hint in (
        ("flash", profile.flash_bytes, memory.weight_bytes, _HARNESS_FLASH_BYTES, "--precision int8, or fewer weights"),
        ("RAM", profile.memory_bytes, memory.ram_bytes, _HARNESS_RAM_BYTES, "--precision int8, or smaller inputs"),
    ):
        if has and model + harness > has:
            yield Objection(
                cause=f"{profile.title} has {has / 1e3:.0f} kB of {what}; the model takes {model / 1e3:.0f} kB, and "
                f"what runs it about {harness / 1e3:.0f} kB.",
                hint=f"A smaller model: {hint}.",
            )


def _memory(profile: TargetProfile, runtime: RuntimeFact, model_bytes: int, needs: int) -> Iterator[Objection]:
    if profile.memory_bytes and needs > available_bytes(profile):
        yield Objection(
            cause=f"{profile.title} has {profile.memory_bytes / 1e6:.0f} MB of memory; {runtime.package} with a model "
            f"of {model_bytes / 1e6:.1f} MB takes about {needs / 1e6:.0f} MB, and its system "
            f"{_SYSTEM_BYTES / 1e6:.0f} MB.",
            hint="A lower precision makes a smaller model: --precision int8",
        )


def _engine(profile: TargetProfile, engine: str) -> Iterator[Objection]:
    if engine and engine not in _ENGINES.get(profile.arch, frozenset()):
        yield Objection(
            cause=f"The model was quantized for torch's engine {engine}, which {profile.title} ({profile.arch}) "
            "does not have.",
            hint=f"Convert it for this device: --target {profile.name}",
        )
