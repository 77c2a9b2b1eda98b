"""A device without Python: a POSIX shell prints the files that tell what it is, and this host reads them.

The files are laid out in a folder as they lie there, so that what reads a device's own root reads them too.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edgekit_bridge.probe.on_device_facts import facts_in, tensorrt, userland

MARK: Final = "@edgekit@"
"""Begins the line before each file or answer: `@edgekit@ /proc/cpuinfo`, `@edgekit@ =machine`."""

TOOLS: Final = r"""
mark=$1
show() {
    for file do
        [ -e "$file" ] || continue
        if [ -d "$file" ]; then file=$file/; fi
        printf '\n%s %s\n' "$mark" "$file"
        if [ -f "$file" ] && [ -r "$file" ]; then head -c 262144 "$file"; fi
    done
}
tell() { printf '\n%s =%s\n' "$mark" "$1"; shift; "$@" </dev/null; }
exec 2>/dev/null
"""
"""Begins every script: prints files that are there, or a command's answer, each after a line with the mark."""

SCRIPT: Final = (
    TOOLS
    + r"""
place=$2
libc() { getconf GNU_LIBC_VERSION || ldd --version 2>&1 || ls /lib/ld-musl-*; }
while [ ! -e "$place" ] && [ "$place" != / ]; do place=$(dirname "$place"); done
tell emulated echo "$EDGEKIT_EMULATED"
tell machine uname -m
tell kernel uname -s -r
tell libc libc
tell cores nproc
tell elf head -c 5 /bin/sh
tell disk df -P -k "$place"
if command -v getprop >/dev/null; then tell android getprop; fi
show /proc/cpuinfo /proc/meminfo /proc/uptime /proc/loadavg /proc/sys/kernel/random/boot_id /proc/thread-self/cmdline
show /proc/device-tree/model /proc/device-tree/compatible
show /sys/firmware/devicetree/base/model /sys/firmware/devicetree/base/compatible
show /sys/devices/soc0/soc_id /sys/devices/platform/soc/soc:firmware/get_throttled
show /sys/class/dmi/id/product_name /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/bios_vendor
show /sys/devices/system/clocksource/clocksource0/available_clocksource /.dockerenv /run/.containerenv
show /sys/hypervisor/type /etc/os-release /usr/lib/os-release /etc/nv_tegra_release
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
    show "$cpu" "$cpu"/cpufreq/cpuinfo_max_freq "$cpu"/cpufreq/scaling_governor
done
show /sys/class/thermal/thermal_zone[0-9]*/type /sys/class/thermal/thermal_zone[0-9]*/temp
show /dev/apex_[0-9]* /dev/hailo[0-9]* /dev/rknpu* /dev/galcore /dev/ethosu[0-9]* /dev/accel/accel[0-9]*
show /dev/nvidia[0-9]* /dev/nvhost-gpu /dev/nvhost-ctrl-gpu /dev/nvgpu/igpu0/ctrl /dev/dri/renderD[0-9]*
show /sys/class/drm/renderD[0-9]*/device/uevent
show /sys/bus/pci/devices/*/vendor /sys/bus/pci/devices/*/device
show /sys/bus/usb/devices/*/idVendor /sys/bus/usb/devices/*/idProduct
show /usr/lib/*/libnvinfer.so.*
[ ! -e /usr/src/tensorrt/bin/trtexec ] || printf '\n%s %s\n' "$mark" /usr/src/tensorrt/bin/trtexec
exit 0
"""
)
"""Tells what the device is."""

_PATH: Final = re.compile(r"(/[\w.:@,+-]+)+/?", re.ASCII)
"""Paths that the script asks for; anything else was not asked for."""

_ELF_32: Final = b"\x7fELF\x01"
"""How a 32-bit program begins (System V ABI, ELF header)."""

_MOST_FILES: Final = 5000

_ABIS: Final = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7l", "x86_64": "x86_64"}
"""What programs are of, by Android's name for it (https://developer.android.com/ndk/guides/abis)."""


def read(output: bytes, home: str) -> dict[str, Any]:
    """The facts in what the script printed."""
    with laid_out(output) as (folder, told):
        found = facts_in(folder)
        found |= {"kind": "emulated"} if _line(told, "emulated") else {}
        android = _android(told.get("android", b"").decode(errors="replace"))
        return {**found, **_answers(told), **android, "runtimes": tensorrt(folder), "home": home}


@contextmanager
def laid_out(output: bytes) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """What a script printed: its files in a folder, as they lie on the device, and its answers by name."""
    told: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="edgekit-probe-") as folder:
        for count, (name, content) in enumerate(_parts(output)):
            if name.startswith("="):
                told[name[1:]] = content
            elif count < _MOST_FILES:
                _lay_out(Path(folder), name, content)
        yield folder, told


def _parts(output: bytes) -> Iterator[tuple[str, bytes]]:
    """Each file or answer with its content; what was printed before the first is a login's greeting."""
    for part in (b"\n" + output).split(f"\n{MARK} ".encode())[1:]:
        name, _, content = part.partition(b"\n")
        yield name.decode(errors="replace"), content


def _lay_out(folder: Path, name: str, content: bytes) -> None:
    """Write a file below the folder, and never elsewhere."""
    if not _PATH.fullmatch(name) or {".", ".."} & set(name.split("/")):
        return
    file = folder / name[1:]
    try:
        (file if name.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            file.write_bytes(content)
    except OSError:
        return  # one path is a folder of another: no device has that, and no fact is in it


def _answers(told: Mapping[str, bytes]) -> dict[str, Any]:
    machine = _line(told, "machine")
    free, total = _disk(told.get("disk", b"").decode(errors="replace"))
    return {
        "machine": machine,
        "userland": userland(machine, 32 if told.get("elf", b"").startswith(_ELF_32) else 64),
        "kernel": _line(told, "kernel"),
        "libc": _libc(told.get("libc", b"").decode(errors="replace")),
        "cores": int(cores) if (cores := _line(told, "cores")).isdecimal() else 0,
        "disk_free_bytes": free,
        "disk_total_bytes": total,
    }


def _android(text: str) -> dict[str, Any]:
    """From getprop's `[ro.product.model]: [Pixel 6]`; nothing on a device that is no Android."""
    told = dict(re.findall(r"^\[([\w.]+)\]: \[([^\]]*)\]", text, re.MULTILINE))
    if "ro.build.version.sdk" not in told:
        return {}
    maker, model = told.get("ro.product.manufacturer", ""), told.get("ro.product.model", "")
    chip = f"{told.get('ro.soc.manufacturer', '')} {told.get('ro.soc.model', '')}".strip()
    release, level = told.get("ro.build.version.release", ""), told["ro.build.version.sdk"]
    patched = told.get("ro.build.version.security_patch", "")
    found = {
        "model": model if model.casefold().startswith(maker.casefold()) else f"{maker} {model}",
        "os": f"Android {release} (API {level}{f', patched {patched}' if patched else ''})",
        "soc": chip or told.get("ro.board.platform", ""),
        "libc": "bionic",
    }
    abi = told.get("ro.product.cpu.abilist", "").split(",")[0]
    return found | ({"userland": _ABIS[abi]} if abi in _ABIS else {})


def _line(told: Mapping[str, bytes], name: str) -> str:
    return told.get(name, b"").decode(errors="replace").strip().partition("\n")[0]


def _libc(text: str) -> str:
    """From getconf's `glibc 2.36`, ldd's `ldd (Debian GLIBC 2.36-9) 2.36`, musl's two lines, or its loader."""
    lines = text.strip().splitlines() or [""]
    version = re.search(r"^Version ([\d.]+)", text, re.MULTILINE)
    if lines[0].startswith("musl") or "/ld-musl-" in text:
        return f"musl {version[1]}" if version else "musl"
    number = re.search(r"(\d+\.[\d.]+)$", lines[0])
    return f"glibc {number[1]}" if number and "libc" in lines[0].lower() else ""


def _disk(text: str) -> tuple[int, int]:
    """Free and total bytes, from `df -P -k` (POSIX: blocks of 1024 bytes, used, available)."""
    words = text.strip().splitlines()[-1].split() if text.strip() else []
    numbers = [int(word) * 1024 for word in words[1:4] if word.isdigit()]
    return (numbers[2], numbers[0]) if len(numbers) == 3 else (0, 0)  # noqa: PLR2004 - the three columns
