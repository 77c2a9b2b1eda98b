"""`edgekit push`: artifacts onto devices, as updates."""

from pathlib import Path

import click

from edgekit_cli.options import DEVICES, JOBS, JSON


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="ARTIFACT…")
@DEVICES
@click.option("--target", default="", help="The devices' profile. Default: what the inventory says.")
@click.option("--check", is_flag=True, help="Load it and run its golden vectors there before the switch.")
@click.option("--keep", default=3, show_default=True, help="Versions of each artifact that stay there.")
@JOBS
@JSON
def push(
    artifacts: tuple[Path, ...],
    devices: tuple[str, ...],
    *,
    target: str,
    check: bool,
    keep: int,
    jobs: int,
    as_json: bool,
) -> int:
    """Put artifacts on devices, as updates.

    Only what a device lacks travels, and a push that was cut goes on where it ended. What arrived is verified there
    by SHA-256; then one rename switches to it. Whatever fails, the version before stays in use.

    \b
    Example:
      edgekit push out/net-tflite-int8.edgekit --device pi4 --check
      edgekit push out/*.edgekit --device group:lab --jobs 8
    """
    from edgekit.artifact import load_artifact
    from edgekit.deployment import push_all
    from edgekit_cli.fleet import each
    from edgekit_cli.render.deployment import print_pushes

    loaded = [load_artifact(path) for path in artifacts]
    outcomes = each(
        devices,
        lambda device, progress: push_all(
            loaded,
            device=device.url,
            target=target or device.target,
            check=check,
            keep=keep,
            progress=progress,
        ),
        title="push",
        jobs=jobs,
    )
    print_pushes(outcomes, as_json=as_json)
    return outcomes.exit_code
