"""`edgekit routes`: which source models become which formats, and by whom."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.diagnosis import Conversion

_NO_WAY = "-"


@click.command(short_help="Show which sources become which formats.")
@click.option("--markdown", is_flag=True, help="Print every route there is as a Markdown table, usable here or not.")
@JSON
def routes(*, markdown: bool, as_json: bool) -> int:
    """Show which kinds of source model become which formats here, in which precisions, and what the others need.

    \b
    Example:
      edgekit routes
      edgekit routes --json
    """
    from edgekit import catalog
    from edgekit.diagnosis import conversions

    found = list(conversions(catalog.readers(), catalog.converters(), catalog.runtimes()))
    if as_json:
        from edgekit_cli.render.json import print_json

        print_json({"routes": found})
    elif markdown:
        click.echo("\n".join(_markdown(found)))
    else:
        click.echo("\n".join(_table(found)))
    return 0


def _markdown(found: "Sequence[Conversion]") -> Iterator[str]:
    """A row for each kind of source, a column for each format; precisions in the cells, or `all` of them."""
    from edgekit.plan import PRECISIONS
    from edgekit.source import DESCRIPTIONS

    every = ", ".join(PRECISIONS)

    formats = list(dict.fromkeys(item.format for item in found))
    yield f"| From | {' | '.join(formats)} |"
    yield f"| --- |{' --- |' * len(formats)}"
    for kind, words in DESCRIPTIONS.items():
        cells = [_cell(found, kind, format_, lambda item: item.precision) for format_ in formats]
        yield f"| {words} | {' | '.join('all' if cell == every else cell for cell in cells)} |"


def _table(found: "Sequence[Conversion]") -> Iterator[str]:
    formats = list(dict.fromkeys(item.format for item in found))
    for kind in dict.fromkeys(item.kind for item in found):
        yield click.style(kind, bold=True)
        for format_ in formats:
            usable = [item for item in found if not item.missing]
            here = _cell(usable, kind, format_, lambda item: item.precision)
            by = _cell(usable, kind, format_, lambda item: item.converter)
            yield f"  {format_:<12}{here:<34}{f'by {by}' if by != _NO_WAY else ''}".rstrip()
            there = [item for item in found if (item.kind, item.format) == (kind, format_) and item.missing]
            for install in dict.fromkeys(item.install for item in there):
                yield f"{'':<14}more with: {install}"


def _cell(found: "Sequence[Conversion]", kind: str, format_: str, tell: "Callable[[Conversion], str]") -> str:
    there = [tell(item) for item in found if (item.kind, item.format) == (kind, format_)]
    return ", ".join(dict.fromkeys(there)) or _NO_WAY
