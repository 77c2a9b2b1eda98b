"""What a userland's `/sys` and `/proc/cpuinfo` say: a board's, after its profile.

With the host's own visible there, LiteRT 2.3 and ONNX Runtime 1.32 crash under QEMU 7.2, and QNNPACK does not start:
they believe in cores that QEMU does not have. The files can be written, as a board's governor can.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from edgekit.target import TargetProfile

_FEATURES: Final = "fp asimd evtstrm crc32 cpuid"

_FALLBACK_HZ: Final = 1_500_000_000
_LOWEST_HZ: Final = 600_000_000
_GOVERNORS: Final = "conservative ondemand userspace powersave performance schedutil"
_TEMPERATURE: Final = "48312"


class _Core(NamedTuple):
    implementer: int
    part: int
    qemu: str


_CORES: Final = {
    "Cortex-A53": _Core(0x41, 0xD03, "cortex-a53"),
    "Cortex-A57": _Core(0x41, 0xD07, "cortex-a57"),
    "Cortex-A72": _Core(0x41, 0xD08, "cortex-a72"),
    "Cortex-A76": _Core(0x41, 0xD0B, "cortex-a76"),
    "Cortex-A78AE": _Core(0x41, 0xD42, "cortex-a76"),
    "NVIDIA Carmel": _Core(0x4E, 0x004, "cortex-a76"),
}
"""Implementer, part (Linux, arch/arm64/include/asm/cputype.h), and the nearest core that QEMU 7.2 has."""

_UNKNOWN: Final = _Core(0x41, 0xD08, "cortex-a72")


def qemu_cpu(profile: TargetProfile) -> str:
    """The core that QEMU is to be."""
    return _CORES.get(profile.cpu.model, _UNKNOWN).qemu


def write_likeness(profile: TargetProfile, folder: Path) -> None:
    """Write `sys/` and `cpuinfo` below a folder."""
    for name, text in _files(profile):
        place = folder / "sys" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n")
    for place in (folder / "sys/devices/system/cpu").glob("cpu[0-9]*"):
        (place / "cpufreq").symlink_to("../cpufreq/policy0")
    (folder / "cpuinfo").write_text("\n".join(_processors(profile)))


def _files(profile: TargetProfile) -> Iterator[tuple[str, str]]:
    cores = max(1, profile.cpu.cores)
    highest = str((profile.cpu.max_hz or _FALLBACK_HZ) // 1000)
    span = f"0-{cores - 1}" if cores > 1 else "0"
    cpu = "devices/system/cpu"
    for name in ("possible", "present", "online"):
        yield f"{cpu}/{name}", span
    core = _CORES.get(profile.cpu.model, _UNKNOWN)
    policy = {
        "affected_cpus": " ".join(map(str, range(cores))),
        "cpuinfo_max_freq": highest,
        "cpuinfo_min_freq": str(_LOWEST_HZ // 1000),
        "scaling_available_governors": _GOVERNORS,
        "scaling_cur_freq": highest,
        "scaling_governor": "ondemand",
        "scaling_max_freq": highest,
        "scaling_min_freq": str(_LOWEST_HZ // 1000),
    }
    for number in range(cores):
        yield f"{cpu}/cpu{number}/regs/identification/midr_el1", f"0x{core.implementer << 24 | core.part << 4 | 3:016x}"
        yield f"{cpu}/cpu{number}/topology/core_id", str(number)
        yield f"{cpu}/cpu{number}/topology/physical_package_id", "0"
    for name, text in policy.items():
        yield f"{cpu}/cpufreq/policy0/{name}", text
    yield "class/thermal/thermal_zone0/type", "cpu-thermal"
    yield "class/thermal/thermal_zone0/temp", _TEMPERATURE
    named = any(board in profile.title for board in profile.boards)
    yield "firmware/devicetree/base/model", profile.title if named else next(iter(profile.boards), profile.title)


def _processors(profile: TargetProfile) -> Iterator[str]:
    core = _CORES.get(profile.cpu.model, _UNKNOWN)
    for number in range(max(1, profile.cpu.cores)):
        yield (
            f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {_FEATURES}\n"
            f"CPU implementer\t: 0x{core.implementer:02x}\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: 0x{core.part:03x}\nCPU revision\t: 3\n"
        )
