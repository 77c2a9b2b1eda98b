"""`edgekit.provision`: a runtime onto a device."""

from edgekit import catalog
from edgekit.progress import SilentProgress
from edgekit.protocols import Progress, Provisioned
from edgekit.reach import open_alone


def provision(
    device: str,
    *,
    runtime: str = "",
    version: str = "",
    target: str = "",
    upgrade: bool = False,
    offline: bool = False,
    origin: str = "",
    sha256: str = "",
    progress: Progress | None = None,
) -> Provisioned:
    """Install a runtime on a device, in a folder of edgekit's own there.

    Wheels that fit the device's Python, C library and architecture are chosen and downloaded here, once; the device
    needs no network, no pip and no root. What was there before stays in use until the new one has been imported.

    Args:
        device: The device's URL, or its name.
        runtime: `litert`, `tflite-runtime`, `onnxruntime`, `torch` or `executorch`; or a program for devices without
            Python: `benchmark_model`, `speed_benchmark_torch` or `onnxruntime_perf_test`. The best there is when empty.
        version: A version or specifier; when empty what the profile says is known to run there, else the newest.
        target: The profile of the device; what the inventory says when empty.
        upgrade: Look for newer wheels than those downloaded before.
        offline: Use only what was downloaded before.
        origin: A program's file, or its http(s) URL; where its makers document it when empty.
        sha256: What the SHA-256 of that file must be.
        progress: Told of each step.

    Raises:
        UsageError: There is no such device, profile or runtime.
        DeviceError: No wheel fits, the device refused something, or the runtime does not work there.
    """
    shown = progress or SilentProgress()
    with open_alone(device, target, "provision", shown) as opened:
        return catalog.provisioner().install(
            opened.link,
            opened.profile,
            shown,
            runtime=runtime,
            version=version,
            upgrade=upgrade,
            offline=offline,
            origin=origin,
            sha256=sha256,
        )


def unprovision(device: str, *, runtime: str) -> str:
    """Remove a runtime that `provision` installed; gives its name.

    Args:
        device: The device's URL, or its name.
        runtime: Its name.

    Raises:
        UsageError: There is no such device or runtime.
        DeviceError: The device cannot be reached, or refused it.
    """
    with open_alone(device, "", "remove a runtime", SilentProgress()) as opened:
        return catalog.provisioner().remove(opened.link, runtime)
