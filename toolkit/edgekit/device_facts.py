"""What a device is: the facts that choosing a target profile, a runtime and its wheels needs.

Every figure is 0, and every text and list empty, where the device does not say.
"""

from typing import Literal

import msgspec

from edgekit.target import Count


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Cores of one kind: the processor's name, their numbers, and their highest clock."""

    cpu: str = ""
    cores: tuple[Count, ...] = ()
    max_hz: Count = 0


class PythonFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The interpreter, as far as choosing wheels needs it (packaging.python.org, platform compatibility tags).

    Attributes:
        executable: Its path on the device.
        version: As `3.11.2`.
        implementation: The tag's beginning: `cp` for CPython, `pp` for PyPy.
        abi: The ABI tag (`cp311`, `cp36m`, `cp313t`).
        soabi: What extension modules are named by (`cpython-311-aarch64-linux-gnu`).
    """

    executable: str
    version: str
    implementation: str
    abi: str
    soabi: str


class SeenAccelerator(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may speed a model up: what it is, the device file or bus it was seen at, and its driver."""

    name: str
    place: str
    detail: str = ""


class SeenRuntime(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution or program that executes models: its version, and the folder it was seen in.

    Attributes:
        name: The distribution (`ai-edge-litert`, `numpy`, …), or `tensorrt` for its `trtexec`.
        version: Empty where it does not say.
        place: The folder on the device.
        ours: Whether edgekit put it there (`edgekit provision`).
    """

    name: str
    version: str
    place: str
    ours: bool = False


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One device, as it was found.

    Attributes:
        model: The board: the device tree's model, or the DMI product name.
        soc: The chip: the device tree's last `compatible` (`brcm,bcm2711`).
        machine: What the kernel is of (`uname -m`).
        userland: What programs are of: `armv7l` for a 32-bit system on a 64-bit Arm kernel.
        kind: `physical`, `emulated` (QEMU), or `virtual` (a hypervisor or container shares the host's CPU).
        cpu: The processor; both for a machine with two kinds of core.
        cpu_features: As the kernel names them.
        cores: Cores that a process of ours may use.
        clusters: Cores by kind and highest clock.
        memory_bytes: Physical memory.
        os: The distribution (os-release(5), PRETTY_NAME).
        kernel: `uname -s -r`.
        libc: The C library and version (`glibc 2.36`, `musl 1.2.3`).
        l4t: The version of NVIDIA's board support package on a Jetson (`35.4.1`).
        python: The interpreter that the harness would run on; None where there is none.
        home: The folder that is edgekit's own there.
        disk_free_bytes: What we may still write on the file system of `home`.
        disk_total_bytes: That file system's size.
        governor: The frequency governors in use, each once.
        temperature_c: Degrees Celsius by thermal zone.
        throttled: Throttle flags as the board reports them (`vcgencmd get_throttled`).
        load1: Load average over a minute; None where it is not told.
        accelerators: What was seen of GPUs and NPUs.
        runtimes: What can execute models there, on the system's path and in edgekit's own folders.
        boot_id: Another one after each start of the kernel.
        uptime_s: Seconds since it started.
    """

    model: str = ""
    soc: str = ""
    machine: str
    userland: str
    kind: Literal["physical", "emulated", "virtual"] = "physical"
    cpu: str = ""
    cpu_features: tuple[str, ...] = ()
    cores: Count = 0
    clusters: tuple[Cluster, ...] = ()
    memory_bytes: Count = 0
    os: str = ""
    kernel: str = ""
    libc: str = ""
    l4t: str = ""
    python: PythonFacts | None = None
    home: str = ""
    disk_free_bytes: Count = 0
    disk_total_bytes: Count = 0
    governor: tuple[str, ...] = ()
    temperature_c: dict[str, float] = {}
    throttled: str = ""
    load1: float | None = None
    accelerators: tuple[SeenAccelerator, ...] = ()
    runtimes: tuple[SeenRuntime, ...] = ()
    boot_id: str = ""
    uptime_s: float = 0.0
