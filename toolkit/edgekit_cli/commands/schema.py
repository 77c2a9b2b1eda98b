"""`edgekit schema`: the JSON Schema of what edgekit stores."""

import click

from edgekit_cli.options import JSON


@click.command(short_help="Print the JSON Schema of a stored format.")
@click.argument("name", type=click.Choice(["manifest"]))
@JSON
def schema(*, name: str, as_json: bool) -> None:  # noqa: ARG001 - manifest is the only one; a schema is JSON anyway
    """Print the JSON Schema (2020-12) of a format that edgekit stores.

    `manifest` is the `manifest.json` of an artifact.

    \b
    Example:
      edgekit schema manifest > manifest.schema.json
    """
    from edgekit.artifact import manifest_schema
    from edgekit_cli.render.json import print_json

    print_json(manifest_schema())
