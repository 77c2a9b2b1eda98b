"""`edgekit virtual`: emulated devices."""

from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.run import Clock
    from edgekit_bridge.virtual.record import Kind


@click.group()
def virtual() -> None:
    """Create and run emulated devices.

    For work without hardware, and for tests: what runs there is the device's own architecture, and every run of it is
    marked emulated. Its times say nothing of a real device's.

    \b
    Example:
      edgekit virtual create pi4 --target raspberrypi4
      edgekit virtual start pi4
      edgekit provision pi4 --runtime litert
      edgekit bench net.edgekit --device pi4
    """


@virtual.command()
@click.argument("name")
@click.option("--target", required=True, help="The profile that it looks like.")
@click.option("--kind", type=click.Choice(["userland", "board"]), default="userland", show_default=True)
def create(name: str, target: str, kind: "Kind") -> None:
    """Make a device.

    A userland is quick: an arm64 system whose programs run under QEMU on this kernel; for an Android target it is
    behind the real adbd. A board is a whole machine with a kernel of its own, and can count instructions. The first of
    each kind builds its image from Debian's packages, about a minute.

    \b
    Example:
      edgekit virtual create pi4 --target raspberrypi4
      edgekit virtual create phone --target android-arm64
      edgekit virtual create counter --target raspberrypi4 --kind board
    """
    from edgekit_bridge.virtual import devices
    from edgekit_cli.progress import terminal_progress

    devices.create(name, target, kind, terminal_progress())
    click.echo(f"{click.style('✓', fg='green')} {name} is there, an emulated {target} ({kind}).")
    click.echo(f"    next: edgekit virtual start {name}")


@virtual.command()
@click.argument("name")
@click.option(
    "--clock",
    type=click.Choice(["wall", "instructions"]),
    default="wall",
    show_default=True,
    help="instructions: for `edgekit bench --clock instructions`; boards only.",
)
def start(name: str, clock: "Clock") -> None:
    """Start a device, and wait until it answers.

    \b
    Example:
      edgekit virtual start pi4
    """
    from edgekit_bridge.virtual import devices
    from edgekit_cli.progress import terminal_progress

    devices.start(name, terminal_progress(), clock=clock)
    click.echo(f"{click.style('✓', fg='green')} {name} runs: --device {name}")


@virtual.command()
@click.argument("name")
def stop(name: str) -> None:
    """Stop a device; what was pushed to it stays.

    \b
    Example:
      edgekit virtual stop pi4
    """
    from edgekit_bridge.virtual import devices

    devices.stop(name)
    click.echo(f"{click.style('✓', fg='green')} {name} is stopped.")


@virtual.command()
@click.argument("name")
def remove(name: str) -> None:
    """Stop a device and remove all that is its own.

    \b
    Example:
      edgekit virtual remove pi4
    """
    from edgekit_bridge.virtual import devices

    devices.remove(name)
    click.echo(f"{click.style('✓', fg='green')} {name} is removed.")


@virtual.command(name="list")
@JSON
def list_(*, as_json: bool) -> None:
    """List virtual devices, and which of them run.

    \b
    Example:
      edgekit virtual list
    """
    import msgspec

    from edgekit_bridge.virtual import devices
    from edgekit_bridge.virtual.record import running
    from edgekit_cli.render.json import print_json

    found = [(device, running(device)) for device in devices.every()]
    if as_json:
        print_json({"devices": [msgspec.structs.asdict(device) | {"running": state} for device, state in found]})
        return
    if not found:
        click.echo("No virtual devices. For one: edgekit virtual create pi4 --target raspberrypi4")
    for device, state in found:
        clock = ", counting instructions" if state and state.clock == "instructions" else ""
        shown = click.style(f"runs{clock}", fg="green") if state else "stopped"
        click.echo(f"{device.name:<16}{device.target:<20}{device.kind:<10}{shown}")
