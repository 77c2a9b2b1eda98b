"""Options that several commands share."""

from typing import Final

import click

JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
