"""`edgekit flash`: firmware and files into boards, over a line."""

from pathlib import Path

import click

from edgekit_cli.options import ADDRESS, JSON


@click.command()
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option(
    "--device", "-d", default="", help="The board's port: serial:///dev/ttyUSB0, a name, or a drive's folder."
)
@click.option("--method", default="", help="How (--list-methods). Default: what chip and image tell.")
@click.option("--chip", default="", help="The chip, such as stm32f407 or atmega328p; another one is refused.")
@click.option("--target", default="", help="The board's profile: its chip and flash. Default: what the inventory says.")
@click.option("--address", type=ADDRESS, default=None, help="Where plain bytes go, such as 0x08000000.")
@click.option("--baud", type=click.IntRange(300, 12_000_000), default=None, help="Bits per second.")
@click.option(
    "--backup", type=click.Path(path_type=Path), default=None, help="Keep what is there now in this file first."
)
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="The method's own (--list-methods).")
@click.option("--list-methods", is_flag=True, help="Every method: what it takes, and what it was proven on.")
@JSON
def flash(
    image: Path | None,
    *,
    device: str,
    method: str,
    chip: str,
    target: str,
    address: int | None,
    baud: int | None,
    backup: Path | None,
    options: tuple[str, ...],
    list_methods: bool,
    as_json: bool,
) -> int:
    """Write firmware into a board, and verify it there.

    What IMAGE is, ELF, Intel HEX, UF2, an Espressif image or plain bytes, is seen by its content, and checked against
    the board before anything is written.

    \b
    Example:
      edgekit flash firmware.elf --device serial:///dev/ttyACM0 --chip atmega328p
      edgekit flash model.bin --device serial:///dev/ttyUSB0 --method ymodem --option go=yes
      edgekit flash --list-methods
    """
    from edgekit import catalog
    from edgekit.flash_job import Asked
    from edgekit.flashing import prepare
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.flashing import print_flashed, print_methods, say_choice

    if list_methods:
        print_methods(catalog.flashers(), as_json=as_json)
        return 0
    if image is None:
        raise click.UsageError("Say which image, or --list-methods.")
    asked = Asked(address=address, baud=baud or 0, chip=chip, backup=backup, options=dict(map(_pair, options)))
    job, chosen = prepare(image, device=device, method=method, target=target, asked=asked)
    say_choice(chosen)
    print_flashed(chosen.flasher.flash(job, terminal_progress()), as_json=as_json)
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--option {text!r} has no value; write NAME=VALUE.")
    return name, value
