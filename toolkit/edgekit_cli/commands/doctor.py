"""`edgekit doctor`: what works here, and how to get the rest."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.diagnosis import Conversion, Diagnosis


@click.command(short_help="Show what works here, and how to get the rest.")
@JSON
def doctor(*, as_json: bool) -> int:
    """Show what is installed, what can be converted and measured here, and how to get the rest.

    No framework is imported to find out.

    \b
    Example:
      edgekit doctor
      edgekit doctor --json
    """
    from edgekit.diagnosis import diagnose

    found = diagnose()
    if as_json:
        from edgekit_cli.render.json import print_json

        print_json(found)
    else:
        click.echo("\n".join(_report(found)))
    return 1 if found.problems else 0


def _report(found: "Diagnosis") -> Iterator[str]:
    yield f"edgekit {found.edgekit}, Python {found.python}, {found.system}: {found.host}"
    if found.packages:
        yield from _section("Packages", _columns((item.module, item.version or "missing") for item in found.packages))
    if found.conversions:
        yield from _section("Conversions", _conversions(found.conversions))
    if found.runtimes:
        yield from _section("Runs on this machine", _columns(_runtimes(found)))
    if found.devices:
        yield from _section("Devices", [f"by {', '.join(found.devices)}"])
    if found.conversions:
        yield from _section("To get the rest", list(_remedies(found)) or ["nothing is missing"])
    if found.problems:
        yield from _section("Broken", found.problems)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield click.style(title, bold=True)
    yield from (f"  {line}" for line in lines)


def _columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows with every column but the last as wide as its longest cell."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _conversions(made: Sequence["Conversion"]) -> Iterator[str]:
    by_pair: dict[tuple[str, str], list[Conversion]] = {}
    for item in made:
        by_pair.setdefault((item.kind, item.format), []).append(item)
    return _columns((kind, f"to {format_}", _precisions(those)) for (kind, format_), those in by_pair.items())


def _precisions(made: Sequence["Conversion"]) -> str:
    """Which precisions work, and what the others need."""
    usable = " ".join(item.precision for item in made if not item.missing)
    lacking = dict.fromkeys(module for item in made for module in item.missing)
    needs = f"needs {', '.join(lacking)}"
    if not lacking:
        return usable
    if not usable:
        return f"no: {needs}"
    return f"{usable} (not {' '.join(item.precision for item in made if item.missing)}: {needs})"


def _runtimes(found: "Diagnosis") -> Iterator[Sequence[str]]:
    for runtime in found.runtimes:
        state = f"no: needs {', '.join(runtime.missing)}" if runtime.missing else "yes"
        yield runtime.format, f"with {runtime.name}", state


def _remedies(found: "Diagnosis") -> Iterator[str]:
    """Each install command with what it makes possible."""
    from edgekit.diagnosis import TORCH_HINT

    gains: dict[str, list[str]] = {}
    for item in found.conversions:
        if item.install:
            gains.setdefault(item.install, []).append(f"{item.kind} to {item.format}")
    for runtime in found.runtimes:
        if runtime.install:
            gains.setdefault(runtime.install, []).append(f"running {runtime.format}")
    yield from _columns((command, f"# {'; '.join(dict.fromkeys(what))}") for command, what in gains.items())
    if any(item.module == "torch" and item.version is None for item in found.packages):
        yield TORCH_HINT
