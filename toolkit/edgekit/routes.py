"""Which way a source model becomes an artifact: the reader and the converter, before any work."""

from collections.abc import Sequence

import msgspec

from edgekit import catalog
from edgekit.errors import UsageError
from edgekit.model import SourceKind
from edgekit.plan import FORMATS, PRECISIONS, Format, Precision
from edgekit.protocols import Converter, Requirement, SourceReader
from edgekit.suggest import did_you_mean


class Way(msgspec.Struct, frozen=True):
    """A reader and a converter that meet in one representation, and what is not installed of what they need."""

    reader: SourceReader
    converter: Converter
    missing: tuple[Requirement, ...]


def ways(kind: SourceKind, format_: Format, precision: Precision) -> Sequence[Way]:
    """Every way from a source kind to an artifact, preferred first, usable or not."""
    return [
        Way(reader, converter, catalog.missing((*reader.requires, *converter.requires(precision))))
        for reader in catalog.readers()
        if kind in reader.kinds
        for converter in catalog.converters()
        if (converter.representation, converter.format) == (reader.representation, format_)
        and precision in converter.precisions
    ]


def find_way(kind: SourceKind, format_: Format, precision: Precision) -> Way:
    """The first usable way.

    Raises:
        UsageError: There is no such way, or none is installed; the hint says what to install.
    """
    found = ways(kind, format_, precision)
    usable = [way for way in found if not way.missing]
    if usable:
        return usable[0]
    if found:
        names = ", ".join(need.module for need in found[0].missing)
        raise UsageError(
            f"{kind} to {format_} {precision} needs {names}, not installed here.",
            hint=install_command(found[0].missing),
        )
    possible = [other for other in FORMATS if ways(kind, other, precision)]
    raise UsageError(
        f"There is no way from {kind} to {format_} {precision}.",
        hint=f"From {kind} edgekit makes {' and '.join(possible) or 'nothing'} in {precision}.",
    )


def install_command(needs: Sequence[Requirement]) -> str:
    """The command that installs what is missing."""
    extras = ",".join(sorted({need.extra for need in needs}))
    return f"pip install 'edgekit-toolkit[{extras}]'"


def check_names(formats: Sequence[str], precisions: Sequence[str]) -> None:
    """Refuse a format or precision that does not exist.

    Raises:
        UsageError: With the nearest that does.
    """
    for given, known, what in ((formats, FORMATS, "format"), (precisions, PRECISIONS, "precision")):
        for name in given:
            if name not in known:
                raise UsageError(f"There is no {what} {name!r}.", hint=did_you_mean(name, known, f"{what}s"))
