"""Runs on the device: prints what it is as one JSON object, the fields of `edgekit.device_facts.DeviceFacts`.

Python 3.6 syntax and the standard library only, like `on_device.py`, whose reading of machines it goes on from: both
are sent together (see `describe.py`). The host runs `facts_in` too, over files that a device without Python has told.
"""

import glob
import json
import os
import platform
import re
import shutil
import struct
import sys
import sysconfig
from typing import Any, Dict, List, Sequence, Tuple

from edgekit_bridge.harness import on_device
from edgekit_bridge.harness.on_device import by_number, read_text

RUNTIMES = ("ai-edge-litert", "tflite-runtime", "onnxruntime", "onnxruntime-gpu", "torch", "executorch", "numpy")
"""Distributions that execute models, and what their versions depend on."""

OWN_RUNTIMES = "runtimes/*/current"
"""Where edgekit puts runtimes, below its own folder."""

DISTRIBUTION = re.compile(r"([^-]+)-([^-]+?)(?:-py[0-9.]+)?\.(?:dist|egg)-info$")
"""A folder that an installer left beside a distribution (packaging.python.org, recording installed projects)."""

NPU_FILES = (
    ("/dev/apex_[0-9]*", "Coral Edge TPU"),
    ("/dev/hailo[0-9]*", "Hailo NPU"),
    ("/dev/rknpu*", "Rockchip NPU"),
    ("/dev/galcore", "VeriSilicon NPU or GPU"),
    ("/dev/ethosu[0-9]*", "Arm Ethos-U NPU"),
    ("/dev/accel/accel[0-9]*", "accelerator"),
    ("/dev/nvidia[0-9]*", "NVIDIA GPU"),
)
"""Device files by which accelerators are used, by their drivers' sources; a Jetson's and GPUs' are apart."""

NVHOST_FILES = ("/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/igpu0/ctrl")
"""A Jetson's GPU (NVIDIA's L4T kernels); the first that is there."""

CORAL_IDS = (("1ac1", "089a"), ("18d1", "9302"), ("1a6e", "089a"))
"""The Edge TPU on PCI, and on USB after and before its firmware was loaded (coral.ai, libedgetpu)."""


def facts_in(root: str = "/") -> Dict[str, Any]:
    """What files of /proc, /sys, /dev and /etc tell; nothing of the process that reads them."""
    state = on_device.cpu_state(root)
    machine = on_device.describe_machine(root)
    seconds = (read_text("/proc/uptime", root) or "").split()
    return {
        "model": machine["board"],
        "soc": soc(root),
        "kind": machine["kind"],
        "cpu": machine["cpu"],
        "cpu_features": machine["cpu_features"],
        "clusters": clusters(root),
        "memory_bytes": machine["memory_bytes"],
        "os": os_name(root),
        "l4t": l4t(root),
        "governor": sorted(set(state["governor"] or [])),
        "temperature_c": state["temperature_c"] or {},
        "throttled": state["throttled"] or "",
        "load1": state["load1"],
        "accelerators": accelerators(root),
        "boot_id": read_text("/proc/sys/kernel/random/boot_id", root) or "",
        "uptime_s": float(seconds[0]) if seconds else 0.0,
    }


def facts_here(home: str) -> Dict[str, Any]:
    """What only a process on the device knows."""
    machine = on_device.describe_machine()
    free, total = disk(home)
    return {
        "machine": machine["machine"],
        "userland": userland(machine["machine"], struct.calcsize("P") * 8),
        "cores": machine["cores"],
        "kernel": machine["system"],
        "libc": machine["libc"],
        "python": interpreter(),
        "home": home,
        "disk_free_bytes": free,
        "disk_total_bytes": total,
        "runtimes": runtimes(sys.path, home) + tensorrt(),
    }


def soc(root: str) -> str:
    """The chip's name: the most general entry of the device tree's list (Devicetree Specification, compatible)."""
    for place in ("/proc/device-tree/compatible", "/sys/firmware/devicetree/base/compatible"):
        names = (read_text(place, root) or "").split()
        if names:
            return names[-1]
    return read_text("/sys/devices/soc0/soc_id", root) or ""


def userland(machine: str, bits: int) -> str:
    """What programs are of: a 64-bit kernel may have 32-bit programs, and says its own name all the same."""
    if bits == 32:
        return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)


def clusters(root: str) -> List[Dict[str, Any]]:
    """Cores by kind and highest clock, the slowest first."""
    names = core_names(root)
    found: Dict[Tuple[int, str], List[int]] = {}
    for path in by_number("/sys/devices/system/cpu/cpu[0-9]*", root):
        number = int(os.path.basename(path)[3:])
        clock = read_text(os.path.join(path, "cpufreq/cpuinfo_max_freq")) or "0"
        hertz = int(clock) * 1000 if clock.isdigit() else 0
        found.setdefault((hertz, names.get(number, "")), []).append(number)
    return [{"cpu": cpu, "cores": cores, "max_hz": hertz} for (hertz, cpu), cores in sorted(found.items())]


def core_names(root: str) -> Dict[int, str]:
    """The processor's name by core, from the blocks of /proc/cpuinfo (one a core)."""
    found: Dict[int, str] = {}
    for block in (read_text("/proc/cpuinfo", root) or "").split("\n\n"):
        pairs = [line.partition(":") for line in block.splitlines()]
        keys = {key.strip(): value.strip() for key, _, value in pairs}
        if keys.get("processor", "").isdigit():
            part = on_device.ARM_PARTS.get(keys.get("CPU implementer", ""), {}).get(keys.get("CPU part", ""))
            found[int(keys["processor"])] = part or keys.get("model name", "")
    return found


def os_name(root: str) -> str:
    """The distribution, as people say it (os-release(5))."""
    for place in ("/etc/os-release", "/usr/lib/os-release"):
        match = re.search(r"^PRETTY_NAME=(.*)$", read_text(place, root) or "", re.MULTILINE)
        if match:
            return match.group(1).strip().strip("\"'")
    return ""


def l4t(root: str) -> str:
    """A Jetson's release, from `# R35 (release), REVISION: 4.1, …`."""
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", read_text("/etc/nv_tegra_release", root) or "")
    return "{}.{}".format(*match.groups()) if match else ""


def accelerators(root: str) -> List[Dict[str, str]]:
    """What was seen of them, each once."""
    found = [seen(name, path, "", root) for pattern, name in NPU_FILES for path in by_number(pattern, root)]
    nvhost = [path for pattern in NVHOST_FILES for path in by_number(pattern, root)]
    found += [seen("Jetson GPU", path, "", root) for path in nvhost[:1]]
    for path in by_number("/dev/dri/renderD[0-9]*", root):
        told = read_text("/sys/class/drm/{}/device/uevent".format(os.path.basename(path)), root)
        match = re.search(r"^DRIVER=(.*)$", told or "", re.MULTILINE)
        found.append(seen("GPU", path, "driver " + match.group(1) if match else "", root))
    if not any(item["name"] == "Coral Edge TPU" for item in found):
        found += coral(root)
    return found


def seen(name: str, path: str, detail: str, root: str) -> Dict[str, str]:
    """One of them; the path as the device has it."""
    return {"name": name, "place": "/" + os.path.relpath(path, root), "detail": detail}


def coral(root: str) -> List[Dict[str, str]]:
    """Edge TPUs on a bus, used without a device file (USB) or without a driver (PCI)."""
    buses = (
        ("/sys/bus/pci/devices/*", "vendor", "device", "on PCI, without its driver (gasket, apex)"),
        ("/sys/bus/usb/devices/*", "idVendor", "idProduct", "on USB"),
    )
    return [
        seen("Coral Edge TPU", path, detail, root)
        for pattern, vendor, product, detail in buses
        for path in sorted(glob.glob(os.path.join(root, pattern.lstrip("/"))))
        if (bus_id(path, vendor), bus_id(path, product)) in CORAL_IDS
    ]


def bus_id(path: str, key: str) -> str:
    """A vendor's or product's number, as four hexadecimal digits."""
    return (read_text(os.path.join(path, key)) or "").replace("0x", "").lower()


def interpreter() -> Dict[str, str]:
    """This interpreter, as wheels are chosen by it."""
    soabi = str(sysconfig.get_config_var("SOABI") or "")
    match = re.match(r"cpython-(\d+[a-z]*)", soabi)
    short = {"CPython": "cp", "PyPy": "pp"}.get(platform.python_implementation(), "py")
    return {
        "executable": sys.executable or "",
        "version": platform.python_version(),
        "implementation": short,
        "abi": "cp" + match.group(1) if match else soabi.replace("-", "_"),
        "soabi": soabi,
    }


def disk(home: str) -> Tuple[int, int]:
    """Free and total bytes of the file system that a folder is on, or would be."""
    place = os.path.abspath(home)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    try:
        told = os.statvfs(place)
    except OSError:
        return 0, 0
    return told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize


def runtimes(paths: Sequence[str], home: str) -> List[Dict[str, Any]]:
    """Distributions that execute models, on the system's path and in our own folders; of each folder its own."""
    own = sorted(glob.glob(os.path.join(glob.escape(home), OWN_RUNTIMES)))
    found: List[Dict[str, Any]] = []
    for folder in [*paths, *own]:
        for name, version in distributions(folder):
            entry = {"name": name, "version": version, "place": folder, "ours": folder in own}
            if name in RUNTIMES and entry not in found:
                found.append(entry)
    return found


def distributions(folder: str) -> List[Tuple[str, str]]:
    """Name and version of each distribution that is installed in a folder."""
    try:
        entries = sorted(os.listdir(folder)) if folder else []
    except OSError:
        return []
    matches = [match for match in map(DISTRIBUTION.match, entries) if match]
    return [(re.sub("[-_.]+", "-", match.group(1)).lower(), match.group(2)) for match in matches]


def tensorrt(root: str = "/") -> List[Dict[str, Any]]:
    """TensorRT's own program, with the version that its library is named by."""
    usual = by_number("/usr/src/tensorrt/bin/trtexec", root)
    program = (shutil.which("trtexec") if root == "/" else None) or next(iter(usual), None)
    if program is None:
        return []
    libraries = by_number("/usr/lib/*/libnvinfer.so.*", root)
    versions = [path.partition(".so.")[2] for path in libraries]
    place = "/" + os.path.relpath(os.path.dirname(program), root)
    return [{"name": "tensorrt", "version": max(versions, key=len, default=""), "place": place, "ours": False}]


def main(home: str) -> None:
    """Print one JSON object, on a line of its own."""
    print("\n" + json.dumps(dict(facts_in(), **facts_here(home))))
