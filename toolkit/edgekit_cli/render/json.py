"""JSON for machines, on standard output."""

from typing import Any

import click
import msgspec


def print_json(value: Any) -> None:
    """Print anything msgspec can encode, indented, paths as strings."""
    encoded = msgspec.json.encode(value, enc_hook=str)
    click.echo(msgspec.json.format(encoded, indent=2).decode())
