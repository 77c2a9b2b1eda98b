"""This machine as a target: only what stays the same from day to day, because it decides what is made for it."""

import os
import platform
from pathlib import Path
from typing import Final

from edgekit.errors import UsageError
from edgekit.target import PROFILE_VERSION, Arch, Cpu, RuntimeFact, TargetProfile

HOST: Final = "host"
"""The name of this machine as a target; it is looked at, not written down."""

_ARCHES: Final[dict[str, Arch]] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "armv7l": "armv7l",
    "armv8l": "armv7l",
}
"""`uname -m`, to the userland's name; a 32-bit userland on a 64-bit Arm kernel says `armv8l`."""

_TELLING: Final = (
    "avx", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8",
    "neon", "asimd", "asimdhp", "asimddp", "i8mm", "sve",
)  # fmt: skip
"""The CPU features that runtimes pick their kernels by."""

_VNNI: Final = {"avx512_vnni", "avx_vnni"}


def describe_host() -> TargetProfile:
    """This machine.

    Raises:
        UsageError: It is none that edgekit knows: another system than Linux, another architecture.
    """
    arch = _ARCHES.get(platform.machine().lower())
    if platform.system() != "Linux" or arch is None:
        raise UsageError(
            f"edgekit does not know {platform.system()} on {platform.machine()} as a device.",
            hint="Name the device the artifact is for: --target (see `edgekit targets list`).",
        )
    fields = _cpu_fields(Path("/proc/cpuinfo"))
    model = fields.get("model name") or fields.get("Model") or platform.machine()
    words = (fields.get("flags") or fields.get("Features") or "").split()
    features = tuple(name for name in _TELLING if name in words)
    return TargetProfile(
        profile_version=PROFILE_VERSION,
        name=HOST,
        title=f"this machine ({model})",
        arch=arch,
        system="linux",
        cpu=Cpu(model=model, cores=os.cpu_count() or 0, features=features),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        glibc=platform.libc_ver()[1],
        runtimes=_runtimes(arch, features),
        connect=("local",),
        evidence="physical",
    )


def _cpu_fields(file: Path) -> dict[str, str]:
    """The first core's lines of `/proc/cpuinfo`; empty where there is none."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.partition(":")[::2] for line in lines]
    return {key.strip(): value.strip() for key, value in reversed(pairs)}


def _runtimes(arch: Arch, features: tuple[str, ...]) -> tuple[RuntimeFact, ...]:
    if arch == "armv7l":
        return (RuntimeFact(format="tflite", package="tflite-runtime"), RuntimeFact(format="c", package="cc"))
    return (
        RuntimeFact(format="tflite", package="ai-edge-litert"),
        RuntimeFact(format="torchscript", package="torch", engine=_engine(arch, features)),
        RuntimeFact(format="onnx", package="onnxruntime"),
        RuntimeFact(format="c", package="cc"),
        RuntimeFact(format="ort", package="onnxruntime"),
        RuntimeFact(format="executorch", package="executorch"),
        RuntimeFact(format="savedmodel", package="tensorflow"),
        RuntimeFact(format="tflm", package="tflite-micro"),
    )


def _engine(arch: Arch, features: tuple[str, ...]) -> str:
    """The quantized engine: oneDNN's int8 kernels need VNNI to keep full precision, FBGEMM's (`x86`) do without."""
    if arch != "x86_64":
        return "qnnpack"
    return "onednn" if _VNNI & set(features) else "x86"
