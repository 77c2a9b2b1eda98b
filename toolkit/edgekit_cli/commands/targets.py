"""`edgekit targets`: what kinds of device are, and what fits them."""

from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.artifact import Manifest
    from edgekit.errors import EdgekitError
    from edgekit.target import BoardMemory, TargetProfile


@click.group(short_help="Describe devices, and check what fits them.")
def targets() -> None:
    """Describe devices, and check what fits them.

    Add your own: a table [targets.NAME] in ./edgekit.toml, or targets/NAME.toml in the config folder. A profile that
    begins with extends = "raspberrypi4" needs only the keys that differ.

    \b
    Example:
      edgekit targets list
      edgekit targets show raspberrypi4
      edgekit targets check out/net-tflite-int8.edgekit --target raspberrypizero2w
    """


@targets.command("list", short_help="Every profile.")
@JSON
def list_targets(*, as_json: bool) -> int:
    """List every profile; one that is wrong is named with its reason, and the exit code is 2.

    \b
    Example:
      edgekit targets list
    """
    from edgekit import catalog
    from edgekit.errors import UsageError
    from edgekit_cli.render.targets import print_profiles

    library = catalog.targets()
    profiles: list[TargetProfile] = []
    wrong: list[EdgekitError] = []
    for name in library.names():
        try:
            profiles.append(library.load(name))
        except UsageError as error:
            wrong.append(error)
    print_profiles(profiles, wrong, as_json=as_json)
    return max([error.exit_code for error in wrong], default=0)


@targets.command("show", short_help="One profile, with its sources.")
@click.argument("name")
@JSON
def show_target(*, name: str, as_json: bool) -> None:
    """Show a profile: processor, memory, runtimes, and the documents that say so.

    \b
    Example:
      edgekit targets show jetson-orin-nano
    """
    from edgekit import catalog
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.targets import print_profile

    profile = catalog.targets().load(name)
    if as_json:
        print_json(profile)
    else:
        print_profile(profile)


def _board_memory(manifest: "Manifest") -> "BoardMemory | None":
    """What a model compiled to C takes of a microcontroller; None for other formats."""
    from edgekit.target import BoardMemory

    found = manifest.footprint
    return BoardMemory(weight_bytes=found.weight_bytes, ram_bytes=found.arena_bytes) if found else None


@targets.command("check", short_help="Whether an artifact fits a device.")
@click.argument("artifact")
@click.option("--target", required=True, help="The device's profile (`edgekit targets list`).")
@JSON
def check_target(*, artifact: str, target: str, as_json: bool) -> int:
    """Tell what of ARTIFACT will not run or fit on a device, and why; the exit code is then 1.

    \b
    Example:
      edgekit targets check out/net-torchscript-int8.edgekit --target raspberrypi4
    """
    from edgekit import catalog
    from edgekit.artifact import load_artifact
    from edgekit_cli.render.json import print_json
    from edgekit_cli.render.targets import print_fit

    profile, manifest = catalog.targets().load(target), load_artifact(artifact).manifest
    misfits = catalog.targets().misfits(
        profile,
        format_=manifest.format,
        model_bytes=manifest.model_bytes,
        engine=manifest.plan.engine,
        memory=_board_memory(manifest),
    )
    if as_json:
        print_json({"artifact": artifact, "target": profile.name, "fits": not misfits, "misfits": misfits})
    else:
        print_fit(manifest, profile, misfits)
    return 1 if misfits else 0
