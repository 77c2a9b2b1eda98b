"""Target profiles: what a kind of device is, as far as conversion and measurement need to know."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

PROFILE_VERSION: Final = 2
"""1: first. 2: microcontrollers (`flash_bytes`, the system `bare-metal` and its architectures)."""

Arch: TypeAlias = Literal["aarch64", "armv7l", "x86_64", "armv7-m", "armv7e-m", "xtensa-lx7"]
System: TypeAlias = Literal["linux", "android", "bare-metal"]

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where figures of a profile come from: the keys it backs, the document's title and its address."""

    keys: tuple[str, ...]
    title: Text
    url: str = ""


class Cpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The processor: model (`Cortex-A72`), cores, highest clock, features as the kernel names them; 0 for unknown."""

    model: Text
    cores: Count
    max_hz: Count = 0
    features: tuple[str, ...] = ()


class RuntimeFact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A runtime the device can have: its format, package and version range, and what it cannot do there.

    Attributes:
        format: The format it executes (`tflite`, `torchscript`, …).
        package: The distribution that brings it (`ai-edge-litert`), or the program (`benchmark_model`).
        version: A version specifier (PEP 440) that is known to run there; empty for any.
        engine: TorchScript's quantized engine on this device (`qnnpack`, `x86`, `onednn`).
        note: What a user should know, in a sentence.
    """

    format: Text
    package: Text
    version: str = ""
    engine: str = ""
    note: str = ""


class Accelerator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GPU, DSP or NPU: its name and the delegates or providers that reach it."""

    name: Text
    delegates: tuple[str, ...] = ()


class PowerMode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A power mode that the device can be switched to.

    Attributes:
        name: As the device calls it (`MAXN`).
        id: Its number, for `nvpmodel -m`.
        cores: CPU cores that are on; 0 for unknown.
        max_hz: Their highest clock; 0 for unknown.
        note: On which variant of the device, when not on all.
    """

    name: Text
    id: Count
    cores: Count = 0
    max_hz: Count = 0
    note: str = ""


class BoardMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What a model compiled in takes of a microcontroller: weights in flash; arena and kept inputs in RAM."""

    weight_bytes: int
    ram_bytes: int


class TargetProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of device.

    Attributes:
        profile_version: The version of this schema (`PROFILE_VERSION`).
        name: The name users type (`raspberrypi4`).
        title: The name people say (`Raspberry Pi 4 Model B`).
        arch: The machine name of its userland (`uname -m`); of a microcontroller its instruction set (`armv7e-m`).
        system: The operating system's family.
        cpu: The processor.
        memory_bytes: The RAM of the smallest variant sold; 0 where it differs by machine.
        flash_bytes: Where a microcontroller's program and weights are; 0 for what has a file system.
        glibc: The oldest C library of its usual systems (`2.31`); empty for none (Android's bionic).
        runtimes: What can execute a model there, best first.
        accelerators: What can speed it up.
        boards: How such devices call themselves: parts of the device tree's model (`Raspberry Pi 4`), by which `edgekit
            devices probe` knows them. A profile that extends this one does not inherit them.
        connect: The transports that usually reach it, best first (`ssh`).
        evidence: How well edgekit knows it: `physical`, `emulated` or `untested on hardware`.
        power_modes: What its power can be limited to.
        sources: Where the figures come from.
    """

    profile_version: int
    name: Text
    title: Text
    arch: Arch
    system: System
    cpu: Cpu
    memory_bytes: Count
    runtimes: tuple[RuntimeFact, ...]
    connect: tuple[str, ...]
    evidence: Literal["physical", "emulated", "untested on hardware"]
    glibc: str = ""
    flash_bytes: Count = 0
    accelerators: tuple[Accelerator, ...] = ()
    boards: tuple[Text, ...] = ()
    power_modes: tuple[PowerMode, ...] = ()
    sources: tuple[Fact, ...] = ()

    def runtime_for(self, format_: str) -> RuntimeFact | None:
        """The best runtime for a format, or None when the device has none."""
        return next((runtime for runtime in self.runtimes if runtime.format == format_), None)
