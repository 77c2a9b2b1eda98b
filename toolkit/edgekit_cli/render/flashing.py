"""Flashing on the terminal."""

from collections.abc import Sequence

import click

from edgekit.flash_job import Flashed
from edgekit.flashing import Choice
from edgekit.protocols import Flasher
from edgekit_cli.render.json import print_json

UNTESTED = "untested on hardware"


def say_choice(chosen: Choice) -> None:
    """Who flashes, and why, on standard error; and where nobody has seen it work yet."""
    flasher = chosen.flasher
    doubt = f" ({UNTESTED})" if flasher.evidence.startswith(UNTESTED) else ""
    click.echo(f"  flash by {flasher.name}: {chosen.reason}{doubt}", err=True)


def print_flashed(flashed: Flashed, *, as_json: bool) -> None:
    """What was written where, and what proved it."""
    if as_json:
        print_json(flashed)
        return
    where = f" at {flashed.address:#x}" if flashed.address is not None else ""
    board = f" of {flashed.board}" if flashed.board else ""
    click.echo(f"{click.style('✓', fg='green')} {flashed.image}: {flashed.bytes:,} bytes{where}{board}")
    click.echo(f"    verified: {flashed.verified}")
    if flashed.backup:
        click.echo(f"    before:   {flashed.backup}")
    for note in flashed.notes:
        click.echo(f"    {note}")


def print_methods(flashers: Sequence[Flasher], *, as_json: bool) -> None:
    """Every method with what it takes and what it was proven on."""
    if as_json:
        print_json([_facts(item) for item in flashers])
        return
    for item in flashers:
        click.echo(f"{click.style(f'{item.name:<9}', bold=True)} {item.title}")
        click.echo(f"    takes {', '.join(item.images)}{'; --backup' if item.keeps_previous else ''}")
        click.echo(
            f"    proven on: {item.evidence}" if not item.evidence.startswith(UNTESTED) else f"    {item.evidence}"
        )
        for name, what in item.options.items():
            click.echo(f"    --option {name}=…  {what}")


def _facts(item: Flasher) -> dict[str, object]:
    return {
        "name": item.name,
        "title": item.title,
        "images": item.images,
        "options": item.options,
        "evidence": item.evidence,
        "backup": item.keeps_previous,
    }
