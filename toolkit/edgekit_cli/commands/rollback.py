"""`edgekit rollback`: switch back to the version that was there before."""

import click

from edgekit_cli.options import JSON


@click.command()
@click.argument("name")
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE…")
@JSON
def rollback(name: str, devices: tuple[str, ...], *, as_json: bool) -> int:
    """Switch back to the version that was there before.

    NAME is an artifact's name, as `edgekit artifacts` lists it. DEVICE is a URL, a name, or group:TAG.

    \b
    Example:
      edgekit rollback net-tflite-int8 pi4
    """
    from edgekit.deployment import rollback as roll_back
    from edgekit_cli.fleet import each
    from edgekit_cli.render.deployment import print_rollbacks

    outcomes = each(devices, lambda device, _: roll_back(name, device=device.url), title="rollback")
    print_rollbacks(name, outcomes, as_json=as_json)
    return outcomes.exit_code
