"""`edgekit firmware`: what a microcontroller runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit_bridge.firmware.build import Image


@click.group(short_help="Build what a microcontroller runs.")
def firmware() -> None:
    """Build what a microcontroller runs.

    A bare board runs no programs: the model is compiled in, with a small harness that answers on the serial line.

    \b
    Example:
      edgekit firmware build out/net-c-int8.edgekit --target qemu-mps2-an386 -o firmware
      edgekit firmware run firmware --port 5000
      edgekit bench out/net-c-int8.edgekit --device serial:socket://127.0.0.1:5000
    """


@firmware.command()
@click.argument("artifact", type=click.Path())
@click.option("--target", required=True, help="The board, or posix for a program of this machine.")
@click.option("--out", "-o", required=True, type=click.Path(file_okay=False), help="Where the files go.")
@click.option("--optimize", type=click.Choice(["-O2", "-O3", "-Os"]), default="-O2", show_default=True)
@click.option("--no-input-copy", is_flag=True, help="Save the RAM that keeps the inputs over inferences.")
@JSON
def build(*, artifact: str, target: str, out: str, optimize: str, no_input_copy: bool, as_json: bool) -> None:
    """Compile ARTIFACT, a model in C, with the harness for a board.

    \b
    Example:
      edgekit firmware build out/net-c-int8.edgekit --target qemu-mps2-an386 -o firmware
    """
    from edgekit.artifact import load_artifact
    from edgekit_bridge.firmware.build import build as build_image
    from edgekit_cli.progress import terminal_progress

    image = build_image(
        load_artifact(artifact),
        target,
        Path(out),
        terminal_progress(),
        optimize=optimize,
        keep_inputs=not no_input_copy,
    )
    _show(image, Path(out), as_json=as_json)


def _show(image: "Image", out: Path, *, as_json: bool) -> None:
    from edgekit_cli.render.json import print_json

    if as_json:
        print_json(image)
        return
    click.echo(f"{click.style('✓', fg='green')} {out}: {', '.join(entry.name for entry in image.files)}")
    if image.flash_bytes:
        click.echo(
            f"    {image.flash_bytes / 1e3:.1f} kB of flash, {image.ram_bytes / 1e3:.1f} kB of RAM and the stack"
        )
    click.echo(f"    {image.artifact} ({image.artifact_id[:12]}), {image.compiler}")


@firmware.command()
@click.argument("artifact", type=click.Path())
@click.option("--for", "kind", required=True, type=click.Choice(["zephyr", "esp-idf", "stm32cubeide"]))
@click.option("--out", "-o", required=True, type=click.Path(file_okay=False), help="The project's folder; a new one.")
@click.option("--board", default="", help="What the firmware calls its board: a target's name.")
def export(*, artifact: str, kind: str, out: str, board: str) -> None:
    """Write a project with ARTIFACT, a model in C, for the tools of a board's makers.

    \b
    Example:
      edgekit firmware export out/net-c-int8.edgekit --for zephyr -o net-firmware
    """
    from edgekit.artifact import load_artifact
    from edgekit_bridge.firmware.export import export as export_project

    files = export_project(load_artifact(artifact), kind, Path(out), board=board)
    click.echo(f"{click.style('✓', fg='green')} {out}: {len(files)} files; README.md there says how to build it.")


@firmware.command()
@click.argument("image", type=click.Path(file_okay=False))
@click.option("--port", "number", type=click.IntRange(1, 65535), default=None, help="TCP port of its serial line.")
def run(*, image: str, number: int | None) -> None:
    """Run IMAGE, a folder of `firmware build`, in an emulator until Ctrl-C.

    \b
    Example:
      edgekit firmware run firmware --port 5000
    """
    from edgekit_bridge.firmware.emulator import running

    with running(Path(image), number or 0) as (url, process):
        click.echo(f"{url} (Ctrl-C ends it)")
        process.wait()
