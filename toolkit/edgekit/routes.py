"""Which way a source model becomes an artifact: the reader and the converter, before any work."""

import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import requires

import msgspec

from edgekit import catalog
from edgekit.errors import UsageError
from edgekit.fingerprint import package_version
from edgekit.model import Representation, SourceKind
from edgekit.offers import WHY_NOT
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


def find_way(kind: SourceKind, format_: Format, precision: Precision, *, through: Representation | None = None) -> Way:
    """The first usable way; with `through`, of those that load the source into this.

    Raises:
        UsageError: There is no such way, or none is installed; the hint says what to install.
    """
    found = [way for way in ways(kind, format_, precision) if through is None or way.reader.representation == through]
    usable = [way for way in found if not way.missing]
    if usable:
        return usable[0]
    if found:
        names = ", ".join(need.module for need in found[0].missing)
        raise UsageError(
            f"{kind} to {format_} {precision} needs {names}, not installed here.",
            hint=install_command(found[0].missing),
        )
    if reason := WHY_NOT.get((format_, precision)):
        made = [item for item in PRECISIONS if ways(kind, format_, item)]
        raise UsageError(
            f"{format_} {precision} is not made: {reason}.",
            hint=f"From {kind} edgekit makes {format_} in {', '.join(made)}." if made else "",
        )
    possible = [other for other in FORMATS if ways(kind, other, precision)]
    raise UsageError(
        f"There is no way from {kind} to {format_} {precision}.",
        hint=f"From {kind} edgekit makes {' and '.join(possible) or 'nothing'} in {precision}.",
    )


def install_command(needs: Sequence[Requirement]) -> str:
    """The command that installs what is missing.

    It names what our extras ask for and not the extras: an edgekit that came from a checkout is on no index.
    """
    extras = {need.extra for need in needs}
    wanted = [spec for extra, spec in _optional_requirements() if extra in extras]
    absent = [spec for spec in wanted if not package_version(_distribution(spec))]
    return shlex.join(["pip", "install", *sorted(set(absent or wanted))])


def _optional_requirements() -> Iterator[tuple[str, str]]:
    """Each extra of ours with what it asks for: `torch`, `torch<2.15,>=2.5`."""
    for line in requires("edgekit-toolkit") or ():
        spec, _, marker = line.partition(";")
        found = re.fullmatch(r"""\s*extra == ["']([\w.-]+)["']\s*""", marker)
        if found:
            yield found[1], spec.strip()


def _distribution(spec: str) -> str:
    return re.split(r"[^\w.-]", spec, maxsplit=1)[0]


def check_names(formats: Sequence[str], precisions: Sequence[str]) -> None:
    """Refuse a format or precision that does not exist.

    Raises:
        UsageError: With the nearest that does.
    """
    for given, known, what in ((formats, FORMATS, "format"), (precisions, PRECISIONS, "precision")):
        for name in given:
            if name not in known:
                raise UsageError(f"There is no {what} {name!r}.", hint=did_you_mean(name, known, f"{what}s"))
