"""`edgekit artifacts`: what was pushed to a device."""

import click

from edgekit_cli.options import JSON


@click.command()
@click.argument("devices", nargs=-1, required=True, metavar="DEVICE…")
@JSON
def artifacts(devices: tuple[str, ...], *, as_json: bool) -> int:
    """List the artifacts on a device.

    DEVICE is a URL, a name, or group:TAG. Each artifact is shown with its versions, newest first; the one in use
    is marked.

    \b
    Example:
      edgekit artifacts pi4
    """
    from edgekit.deployment import artifacts as list_artifacts
    from edgekit_cli.fleet import each
    from edgekit_cli.render.deployment import print_artifacts

    outcomes = each(devices, lambda device, _: list_artifacts(device.url), title="artifacts")
    print_artifacts(outcomes, as_json=as_json)
    return outcomes.exit_code
