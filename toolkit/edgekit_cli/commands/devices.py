"""`edgekit devices`: the inventory, what a device is, and what is there to be found."""

import click

from edgekit_cli.options import DURATION, JOBS, JSON


@click.group(short_help="List, find and describe devices.")
def devices() -> None:
    """List, find and describe devices.

    The inventory is in ./edgekit.toml: a table [devices.NAME] with url, and if wished target and tags. Wherever a
    device is asked for, its name will do, and group:TAG for all that have a tag (group:all for every one).

    \b
    Example:
      edgekit devices discover
      edgekit devices add pi4 ssh://pi@raspberrypi.local --target raspberrypi4 --tag lab
      edgekit devices probe pi4
    """


@devices.command("add", short_help="Give a device a name.")
@click.argument("name")
@click.argument("url")
@click.option(
    "--target", default="", help="Its profile (`edgekit targets list`; `edgekit devices probe` proposes one)."
)
@click.option("--tag", "tags", multiple=True, help="A group that it belongs to; may be given several times.")
def add_one(*, name: str, url: str, target: str, tags: tuple[str, ...]) -> None:
    """Write a device into ./edgekit.toml; nothing else in it changes.

    \b
    Example:
      edgekit devices add pi4 ssh://pi@raspberrypi.local --target raspberrypi4 --tag lab
    """
    from edgekit.inventory import Device, add_device

    add_device(Device(name=name, url=url, target=target, tags=tuple(dict.fromkeys(tags))))
    click.echo(f"Added {name}. What is it? edgekit devices probe {name}")


@devices.command("remove", short_help="Forget a device's name.")
@click.argument("name")
def remove_one(*, name: str) -> None:
    """Take a device out of ./edgekit.toml; nothing else in it changes, nor anything on the device.

    \b
    Example:
      edgekit devices remove pi4
    """
    from edgekit.inventory import remove_device

    remove_device(name)
    click.echo(f"Removed {name}.")


@devices.command("list", short_help="The inventory.")
@JSON
def list_devices(*, as_json: bool) -> None:
    """List the devices of ./edgekit.toml.

    \b
    Example:
      edgekit devices list
    """
    from edgekit.inventory import load_inventory
    from edgekit_cli.render.devices import print_inventory

    print_inventory(load_inventory(), as_json=as_json)


@devices.command("probe", short_help="What devices are, and which profile fits them.")
@click.argument("texts", nargs=-1, metavar="[DEVICE]...")
@JOBS
@JSON
def probe_devices(*, texts: tuple[str, ...], jobs: int, as_json: bool) -> int:
    """Ask devices what they are: processor, memory, system, runtimes, and the target profile that fits.

    DEVICE is a URL, a name, or group:TAG; without one it is this machine. A device that cannot be reached is named
    with the reason, and the exit code is then 3.

    \b
    Example:
      edgekit devices probe pi4
      edgekit devices probe group:lab --json
    """
    from edgekit.probing import probe, propose_target
    from edgekit_cli.fleet import each
    from edgekit_cli.render.devices import Probed, print_probes

    outcomes = each(texts or ("local:",), lambda device, _: probe(device), title="probe", jobs=jobs)
    probed = [
        Probed(
            device=item.device,
            facts=item.value,
            proposal=propose_target(item.device, item.value) if item.value else None,
            error=item.error,
        )
        for item in outcomes.items
    ]
    print_probes(probed, as_json=as_json)
    return outcomes.exit_code


@devices.command("discover", short_help="What devices can be found from here.")
@click.option(
    "--timeout", "timeout_s", type=DURATION, default="3s", show_default=True, help="How long to listen to the network."
)
@JSON
def discover_devices(*, timeout_s: float, as_json: bool) -> None:
    """Look for devices: announced in the network (multicast DNS), known to adb, on serial ports.

    Each is shown with the URL to type. A way of looking that is missing here is told, and is no failure.

    \b
    Example:
      edgekit devices discover --timeout 10s
    """
    from edgekit.inventory import load_inventory
    from edgekit_bridge.probe.discover import discover
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.devices import print_discovery

    listed = load_inventory()
    with terminal_progress().step("listen to the network"):
        found = discover(listed, timeout_s=timeout_s)
    print_discovery(found, as_json=as_json)
