"""`edgekit calibrate-noise`: how far a device's measurements lie apart by themselves."""

import click

from edgekit_cli.options import JSON, STORE, TARGET


@click.command("calibrate-noise", short_help="Measure how noisy a device is.")
@click.argument("device", default="local:")
@click.option("--artifact", required=True, help="What to measure against itself; one like those to be compared.")
@click.option("--rounds", type=int, default=5, show_default=True, help="Runs; half as many pairs follow.")
@TARGET
@STORE
@JSON
def calibrate_noise(
    *, device: str, artifact: str, rounds: int, target: str, store_url: str | None, as_json: bool
) -> None:
    """Measure an artifact against itself on DEVICE; `edgekit compare` then takes changes that small for noise.

    \b
    Example:
      edgekit calibrate-noise local: --artifact out/net-tflite-int8.edgekit
    """
    from edgekit.noise import calibrate_noise as calibrate
    from edgekit.store import open_store
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.json import print_json

    band = calibrate(
        artifact,
        device=device,
        target=target,
        rounds=rounds,
        store=open_store(store_url),
        progress=terminal_progress(),
    )
    if as_json:
        print_json(band)
        return
    click.echo(f"Noise band of {band.device}, from {len(band.runs)} runs of {band.artifact}:")
    click.echo(f"  runs taken apart   ±{100 * band.apart:.1f}%")
    click.echo(f"  taken in turns     ±{100 * band.paired:.1f}%")
    click.echo("`edgekit compare` now takes changes that small for noise.")
