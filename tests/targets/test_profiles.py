"""The profiles that come with edgekit: each is whole, says where its figures come from, and is on the list."""

import platform

import pytest

from edgekit import catalog
from edgekit.target import TargetProfile

BOARDS = {
    "raspberrypi3", "raspberrypi4", "raspberrypi5", "raspberrypizero2w",
    "jetson-nano", "jetson-xavier-nx", "jetson-orin-nano", "jetson-agx-orin",
    "android-arm64", "android-armv7", "linux-aarch64", "linux-armv7", "linux-x86_64",
}  # fmt: skip

MICROCONTROLLERS = {"esp32-s3", "qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500", "stm32f746"}


def test_every_device_is_there_this_machine_first() -> None:
    """The names users type."""
    names = catalog.targets().names()
    assert names[0] == "host"
    assert set(names[1:]) == BOARDS | MICROCONTROLLERS


@pytest.mark.parametrize("name", sorted(BOARDS | MICROCONTROLLERS))
def test_figures_have_sources(name: str) -> None:
    """Whatever is not zero or empty is backed by a document with an address; nothing claims hardware it did not see."""
    profile = catalog.targets().load(name)
    backed = {key for source in profile.sources for key in source.keys}
    figures = {"runtimes", "memory_bytes", "flash_bytes", "glibc", "accelerators"}
    assert {key for key in figures if getattr(profile, key)} - {"accelerators"} <= backed
    assert backed <= set(TargetProfile.__struct_fields__)
    assert all(source.url.startswith("https://") for source in profile.sources)
    assert profile.evidence == ("emulated" if name.startswith("qemu-") else "untested on hardware")


@pytest.mark.parametrize("name", sorted(MICROCONTROLLERS))
def test_a_microcontroller_runs_c_on_a_serial_line(name: str) -> None:
    """It has flash, no operating system, and no other runtime."""
    profile = catalog.targets().load(name)
    assert (profile.system, profile.connect) == ("bare-metal", ("serial",))
    assert [runtime.format for runtime in profile.runtimes] == ["c"]
    assert profile.flash_bytes > profile.memory_bytes // 2 > 0


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_arm_quantizes_with_qnnpack(name: str) -> None:
    """TorchScript's engine follows the architecture."""
    profile = catalog.targets().load(name)
    runtime = profile.runtime_for("torchscript")
    assert profile.runtime_for("tflite") is not None
    assert runtime is None or runtime.engine == ("x86" if profile.arch == "x86_64" else "qnnpack")


def test_the_host_is_this_machine() -> None:
    """Looked at, not written down; the same every time, because caching depends on it."""
    host = catalog.targets().load("host")
    assert host.arch == {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    assert host.cpu.cores >= 1
    assert host.memory_bytes > 2**28
    assert host.evidence == "physical"
    assert host == catalog.targets().load("host")
