"""`edgekit inspect`: what a source model or an artifact is."""

from pathlib import Path

import click

from edgekit_cli.options import JSON


@click.command(short_help="Show what a source model or an artifact is.")
@click.argument("path")
@click.option("--weights", type=click.Path(), default="", help="The checkpoint for file.py:factory.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=SHAPE:DTYPE", help="As for `edgekit convert`.")
@click.option("--trust", is_flag=True, help="Code in the source file may run: pickles, Lambda layers.")
@JSON
def inspect(*, path: str, weights: str, inputs: tuple[str, ...], trust: bool, as_json: bool) -> None:
    """Show framework, signature, operators, parameters, size and quantization of PATH.

    PATH is an artifact, or anything that `edgekit convert` takes as SOURCE.

    \b
    Example:
      edgekit inspect out/net-tflite-int8.edgekit
      edgekit inspect net.keras
    """
    from edgekit.artifact import MANIFEST, SUFFIX, load_artifact
    from edgekit.source import open_source, parse_input
    from edgekit.verification import inspect_source
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.inspection import print_artifact, print_source

    if path.rstrip("/").endswith(SUFFIX) or Path(path, MANIFEST).is_file():
        print_artifact(load_artifact(path), as_json=as_json)
        return
    given = tuple(parse_input(text) for text in inputs)
    source = open_source(path, weights=weights, inputs=given, trusted=trust)
    print_source(source, inspect_source(source, terminal_progress()), as_json=as_json)
