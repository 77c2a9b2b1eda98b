"""`edgekit provision`: runtimes onto devices."""

import click

from edgekit_cli.options import JOBS, JSON


@click.command()
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE…")
@click.option(
    "--runtime",
    default="",
    help="litert, tflite-runtime, onnxruntime, torch, executorch; without Python: benchmark_model, "
    "speed_benchmark_torch, onnxruntime_perf_test. Default: the best there is.",
)
@click.option(
    "--from", "origin", default="", metavar="PATH|URL", help="Where a program is. Default: its makers' place."
)
@click.option("--sha256", default="", help="What that program's SHA-256 must be.")
@click.option("--version", default="", help="A version such as 2.14.0, or a specifier. Default: the profile's.")
@click.option("--target", default="", help="The devices' profile. Default: what the inventory says.")
@click.option("--upgrade", is_flag=True, help="Look for newer wheels than those downloaded before.")
@click.option("--offline", is_flag=True, help="Use only what was downloaded before.")
@click.option("--remove", is_flag=True, help="Remove the runtime.")
@JOBS
@JSON
def provision(
    devices: tuple[str, ...],
    *,
    runtime: str,
    version: str,
    target: str,
    upgrade: bool,
    offline: bool,
    origin: str,
    sha256: str,
    remove: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Install a runtime on devices.

    Wheels that fit a device's Python, C library and architecture are chosen and downloaded here, once; the device
    needs no network, no pip and no root. Where there is no Python, as on a phone, a program of the runtime's makers
    measures: it is kept here, and found equal by its SHA-256 before each use. DEVICE is a URL, a name, or group:TAG.

    \b
    Example:
      edgekit provision pi4 --runtime litert
      edgekit provision group:lab --runtime tflite-runtime --version 2.14.0
      edgekit provision phone --runtime benchmark_model
    """
    from edgekit.errors import UsageError
    from edgekit.provisioning import provision as install
    from edgekit.provisioning import unprovision
    from edgekit_cli.fleet import each
    from edgekit_cli.render.deployment import print_provisioned, print_removed

    if remove:
        if not runtime:
            raise UsageError("--remove asks which runtime.", hint="Name it: --runtime litert")
        gone = each(devices, lambda device, _: unprovision(device.url, runtime=runtime), title="remove", jobs=jobs)
        print_removed(gone, as_json=as_json)
        return gone.exit_code
    outcomes = each(
        devices,
        lambda device, progress: install(
            device.url,
            runtime=runtime,
            version=version,
            target=target or device.target,
            upgrade=upgrade,
            offline=offline,
            origin=origin,
            sha256=sha256,
            progress=progress,
        ),
        title="provision",
        jobs=jobs,
    )
    print_provisioned(outcomes, as_json=as_json)
    return outcomes.exit_code
