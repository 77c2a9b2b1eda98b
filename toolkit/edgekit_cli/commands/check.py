"""`edgekit check`: will it work, and where does it fall back?"""

from typing import Any

import click

from edgekit_cli.options import JSON
from edgekit_cli.request_options import REQUEST, take_request


@click.command(short_help="Tell whether a source will work as an artifact, and where it falls back.")
@click.argument("source")
@REQUEST
@JSON
def check(*, source: str, as_json: bool, **options: Any) -> int:
    """Tell what of SOURCE will not work in each format and precision, and why; the exit code is then 1.

    First what can be known without a framework. Then it is made, loaded in its runtime and run: which operators the
    delegate leaves, and in which layers; what it takes in memory, beside what the target has. What was made is kept in
    the cache, so that `edgekit convert` need not make it again.

    \b
    Example:
      edgekit check net.py:make_net --weights net.pt --format tflite --format onnx --target raspberrypizero2w
    """
    from edgekit.preflight import preflight
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.check import print_checked
    from edgekit_cli.render.json import print_json

    found = []
    for checked in preflight(take_request(source, options), terminal_progress()):
        found.append(checked)
        if not as_json:
            print_checked(checked)
    if as_json:
        print_json({"source": source, "works": not any(item.problems for item in found), "checked": found})
    return int(any(item.problems for item in found))
