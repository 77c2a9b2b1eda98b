"""`edgekit routes`: which source models become which formats, and by whom."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.diagnosis import Conversion
    from edgekit.plan import Format, Precision

_NO_WAY = "-"
_WIDTH = 80
_INDENT = 14


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
    from edgekit.offers import WHY_NOT

    found = list(conversions(catalog.readers(), catalog.converters(), catalog.runtimes()))
    if as_json:
        from edgekit_cli.render.json import print_json

        print_json(
            {"routes": found, "refused": [{"format": f, "precision": p, "reason": r} for (f, p), r in WHY_NOT.items()]}
        )
    elif markdown:
        click.echo("\n".join(_markdown(found)))
    else:
        click.echo("\n".join(_table(found)))
    return 0


def _markdown(found: "Sequence[Conversion]") -> Iterator[str]:
    """A row for each kind of source, a column for each format; then the precisions of each format.

    A cell says `yes` where the source becomes the format in each of its precisions.
    """
    from edgekit.source import DESCRIPTIONS

    made = _precisions(found)
    yield f"| From | {' | '.join(made)} |"
    yield f"| --- |{' --- |' * len(made)}"
    for kind, words in DESCRIPTIONS.items():
        cells = [_cell(found, kind, format_, lambda item: item.precision) for format_ in made]
        every = [", ".join(precisions) for precisions in made.values()]
        shown = ("yes" if cell == all_ else cell for cell, all_ in zip(cells, every, strict=True))
        yield f"| {words} | {' | '.join(shown)} |"
    yield ""
    yield "| Format | Precisions |"
    yield "| --- | --- |"
    for format_, precisions in made.items():
        yield f"| {format_} | {', '.join(precisions)} |"


def _precisions(found: "Sequence[Conversion]") -> dict[str, list[str]]:
    """The precisions of each format, from whatever source."""
    made: dict[str, dict[str, None]] = {}
    for item in found:
        made.setdefault(item.format, {})[item.precision] = None
    return {format_: list(precisions) for format_, precisions in made.items()}


def _table(found: "Sequence[Conversion]") -> Iterator[str]:
    from edgekit.offers import WHY_NOT

    formats = list(dict.fromkeys(item.format for item in found))
    for kind in dict.fromkeys(item.kind for item in found):
        yield click.style(kind, bold=True)
        for format_ in formats:
            usable = [item for item in found if not item.missing]
            here = _cell(usable, kind, format_, lambda item: item.precision)
            by = _cell(usable, kind, format_, lambda item: item.converter)
            whole = f"{here} by {by}" if by != _NO_WAY else here
            first, *rest = [whole] if len(whole) <= _WIDTH - _INDENT else [here, f"by {by}"]
            yield f"  {format_:<12}{first}"
            yield from (" " * _INDENT + line for line in rest)
            there = [item for item in found if (item.kind, item.format) == (kind, format_) and item.missing]
            for install in dict.fromkeys(item.install for item in there):
                yield f"{'':<14}more with: {install}"
    yield click.style("what no source becomes", bold=True)
    for reason, names in _grouped(WHY_NOT).items():
        yield from textwrap.wrap(f"{names}: {reason}", _WIDTH, initial_indent="  ", subsequent_indent=" " * _INDENT)


def _grouped(reasons: "Mapping[tuple[Format, Precision], str]") -> dict[str, str]:
    """`c fp16, int16x8` by what speaks against it."""
    found: dict[str, str] = {}
    for (format_, precision), reason in reasons.items():
        before = found.get(reason, "")
        same = before.split("; ")[-1].split(" ")[0] == format_
        found[reason] = f"{before}, {precision}" if same else f"{before}; {format_} {precision}".removeprefix("; ")
    return found


def _cell(found: "Sequence[Conversion]", kind: str, format_: str, tell: "Callable[[Conversion], str]") -> str:
    there = [tell(item) for item in found if (item.kind, item.format) == (kind, format_)]
    return ", ".join(dict.fromkeys(there)) or _NO_WAY
