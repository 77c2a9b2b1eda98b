"""Finds converters, readers, runtimes, transports and profiles without importing anything heavy.

Known packages are listed here by module; third parties register entry points of the same groups. A module ends
with its typed constant: `READER`, `CONVERTER`, `RUNTIMES`, `TRANSPORT`, `FLASHER`, `HARNESS` or `LIBRARY`. Importing
such a module must not import a framework: it says what it needs (`requires`) and imports it when work starts.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

from edgekit.errors import UsageError
from edgekit.protocols import (
    BoardHarness,
    Converter,
    Deployer,
    Flasher,
    Guard,
    Harness,
    Probe,
    Provisioner,
    Requirement,
    Runtime,
    SourceReader,
    TargetLibrary,
    Transport,
)
from edgekit.serial_url import SERIAL
from edgekit.suggest import did_you_mean

if TYPE_CHECKING:
    from edgekit.layers import Tracer
    from edgekit.placement import Placer

READERS: Final = (
    "edgekit_converters.sources.pytorch",
    "edgekit_converters.sources.exported_program",
    "edgekit_converters.sources.torchscript",
    "edgekit_converters.sources.keras_tensorflow",
    "edgekit_converters.sources.keras_torch",
    "edgekit_converters.sources.savedmodel",
    "edgekit_converters.sources.onnx_model",
    "edgekit_converters.sources.tflite_model",
    "edgekit_converters.sources.tensorflow_onnx",
    "edgekit_converters.sources.onnx_torch",
    "edgekit_converters.sources.tensorflow_torch",
)
CONVERTERS: Final = (
    "edgekit_converters.formats.torchscript",
    "edgekit_converters.formats.tflite_from_torch",
    "edgekit_converters.formats.tflite_from_tensorflow",
    "edgekit_converters.formats.onnx_from_torch",
    "edgekit_converters.formats.onnx_from_onnx",
    "edgekit_converters.formats.tflite_from_tflite",
    "edgekit_converters.formats.c_from_torch",
    "edgekit_converters.formats.c_from_tensorflow",
    "edgekit_converters.formats.c_from_tflite",
    "edgekit_converters.formats.ort_from_torch",
    "edgekit_converters.formats.ort_from_onnx",
    "edgekit_converters.formats.executorch",
    "edgekit_converters.formats.savedmodel",
    "edgekit_converters.formats.tflm_from_torch",
    "edgekit_converters.formats.tflm_from_tensorflow",
    "edgekit_converters.formats.tflm_from_tflite",
)
TRANSPORTS: Final = (
    "edgekit_bridge.transports.local",
    "edgekit_bridge.transports.ssh",
    "edgekit_bridge.transports.adb",
    "edgekit_bridge.transports.serial_console",
    "edgekit_bridge.transports.virtual",
)
FLASHERS: Final = (
    "edgekit_bridge.flashers.ymodem",
    "edgekit_bridge.flashers.avrdude",
    "edgekit_bridge.flashers.esptool",
    "edgekit_bridge.flashers.stm32",
    "edgekit_bridge.flashers.pyocd",
    "edgekit_bridge.flashers.smp",
    "edgekit_bridge.flashers.uf2",
)
LINES: Final = frozenset({SERIAL})
"""Schemes of URLs that reach a line, on which no programs run: firmware answers there, or a bootloader."""
BOARDS: Final = {SERIAL: "edgekit_bridge.serial.harness"}
"""What measures there, by scheme."""
TARGETS: Final = "edgekit_targets.library"
RUNTIMES: Final = "edgekit_bridge.harness.runtimes"
TRACERS: Final = {"tflite": "edgekit_bridge.tracing.tflite", "onnx": "edgekit_bridge.tracing.onnx"}
PROVISIONER: Final = "edgekit_bridge.provision.install"
GUARD: Final = "edgekit_bridge.guard"
DEPLOYER: Final = "edgekit_bridge.update.versions"
HARNESS: Final = "edgekit_bridge.harness.process"
HARNESSES: Final = {
    "trtexec": "edgekit_bridge.harness.tensorrt",
    "benchmark_model": "edgekit_bridge.native.benchmark_model",
    "speed_benchmark_torch": "edgekit_bridge.native.speed_benchmark_torch",
    "onnxruntime_perf_test": "edgekit_bridge.native.onnxruntime_perf_test",
}
NATIVE: Final = {
    "tflite": "benchmark_model",
    "torchscript": "speed_benchmark_torch",
    "onnx": "onnxruntime_perf_test",
}
"""The program that measures a format where there is no Python."""
PLACER: Final = "edgekit_bridge.placing.place"
PROBE: Final = "edgekit_bridge.probe.describe"


def _third_party(group: str) -> Iterator[Any]:
    for entry in entry_points(group=f"edgekit.{group}"):
        yield entry.load()


@cache
def readers() -> Sequence[SourceReader]:
    """Every source reader, ours first; the first that fits wins."""
    ours: list[SourceReader] = [import_module(name).READER for name in READERS]
    return (*ours, *_third_party("readers"))


@cache
def converters() -> Sequence[Converter]:
    """Every converter, ours first."""
    ours: list[Converter] = [import_module(name).CONVERTER for name in CONVERTERS]
    return (*ours, *_third_party("converters"))


@cache
def runtimes() -> Sequence[Runtime]:
    """Every runtime that this host could have, ours first."""
    ours: list[Runtime] = list(import_module(RUNTIMES).RUNTIMES)
    return (*ours, *_third_party("runtimes"))


@cache
def transports() -> Sequence[Transport]:
    """Every transport, ours first."""
    ours: list[Transport] = [import_module(name).TRANSPORT for name in TRANSPORTS]
    return (*ours, *_third_party("transports"))


def transport(scheme: str) -> Transport:
    """The transport for a device URL's scheme.

    Raises:
        UsageError: There is none.
    """
    known = {item.scheme: item for item in transports()}
    if scheme in known:
        return known[scheme]
    if scheme in BOARDS:
        raise UsageError(
            f"A bare board runs no programs: {scheme}: leads to its firmware only.",
            hint="`edgekit bench` measures there, `edgekit flash` writes it, and `edgekit firmware` builds it.",
        )
    raise UsageError(f"No transport reaches {scheme}: devices.", hint=did_you_mean(scheme, known, "transports"))


@cache
def flashers() -> Sequence[Flasher]:
    """Every way to flash, ours first."""
    ours: list[Flasher] = [import_module(name).FLASHER for name in FLASHERS]
    return (*ours, *_third_party("flashers"))


def flasher(name: str) -> Flasher:
    """The way to flash of this name.

    Raises:
        UsageError: There is none.
    """
    known = {item.name: item for item in flashers()}
    if name in known:
        return known[name]
    raise UsageError(f"There is no way to flash called {name!r}.", hint=did_you_mean(name, known, "methods"))


def check_scheme(scheme: str) -> None:
    """See that something reaches devices of a URL's scheme.

    Raises:
        UsageError: Nothing does.
    """
    if scheme not in LINES:
        transport(scheme)


def harness(runtime: str = "") -> Harness:
    """The harness for devices that can run programs; that of a runtime which has one of its own (`trtexec`)."""
    return cast("Harness", import_module(HARNESSES.get(runtime, HARNESS)).HARNESS)


def board_harness(scheme: str) -> BoardHarness | None:
    """What measures on a device that runs no programs; None where a transport leads to one that does."""
    return cast("BoardHarness", import_module(BOARDS[scheme]).HARNESS) if scheme in BOARDS else None


def tracer(format_: str) -> "Tracer":
    """What shows the inner tensors of models of a format.

    Raises:
        UsageError: Nothing does.
    """
    if format_ not in TRACERS:
        raise UsageError(
            f"Nothing shows the inner tensors of {format_}.", hint=f"Layers can be seen of {' and '.join(TRACERS)}."
        )
    return cast("Tracer", import_module(TRACERS[format_]).TRACER)


def deployer() -> Deployer:
    """What keeps versions of artifacts on devices."""
    return cast("Deployer", import_module(DEPLOYER).DEPLOYER)


def guard() -> Guard:
    """What keeps a device to one user at a time."""
    return cast("Guard", import_module(GUARD).GUARD)


def placer() -> "Placer":
    """What tells who executes an artifact's operators."""
    return cast("Placer", import_module(PLACER).PLACER)


def probe() -> Probe:
    """What tells what a device is."""
    return cast("Probe", import_module(PROBE).PROBE)


def provisioner() -> Provisioner:
    """What puts runtimes on devices."""
    return cast("Provisioner", import_module(PROVISIONER).PROVISIONER)


def targets() -> TargetLibrary:
    """The library of target profiles."""
    return cast("TargetLibrary", import_module(TARGETS).LIBRARY)


def missing(requirements: Sequence[Requirement]) -> tuple[Requirement, ...]:
    """Those of the requirements that are not installed, found without importing them."""
    return tuple(need for need in requirements if not _installed(need.module))


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None
