"""What works on this machine, and what would have to be installed for the rest.

Nothing is imported to find out: readers, converters and runtimes say what they need, and the installed
distributions say what is there.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from itertools import product
from typing import Final, TypeVar

import msgspec

from edgekit import __version__, catalog, routes
from edgekit.errors import EdgekitError
from edgekit.model import SourceKind
from edgekit.plan import FORMATS, PRECISIONS, Format, Precision
from edgekit.protocols import Converter, Requirement, Runtime, SourceReader

Part = TypeVar("Part")

TORCH_HINT: Final = (
    "On Linux without a GPU, PyTorch's CPU index saves gigabytes: "
    "add --extra-index-url https://download.pytorch.org/whl/cpu"
)


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """An optional package: the module, the extra that brings it, its version or None where it is missing."""

    module: str
    extra: str
    version: str | None


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that edgekit can make: what from what, by whom, and what is missing for it.

    Attributes:
        kind: The source kind.
        format: What comes out.
        precision: Its number format.
        reader: Who loads the source.
        converter: Who writes the format.
        missing: Modules that are not installed; empty when it works here.
        install: The command that installs them; empty when it works here.
    """

    kind: SourceKind
    format: Format
    precision: Precision
    reader: str
    converter: str
    missing: tuple[str, ...]
    install: str


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime for `local:` and for parity: its format, and what is missing for it."""

    name: str
    format: Format
    missing: tuple[str, ...]
    install: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `edgekit doctor` tells.

    Attributes:
        edgekit: Our version.
        python: Python's version.
        system: `uname`'s system and machine.
        host: What this machine is as a target.
        packages: The optional packages.
        conversions: Every source kind, format and precision, usable or not.
        runtimes: What can run artifacts on this machine.
        devices: The URL schemes that devices can be reached by.
        problems: Parts of edgekit, or of extensions, that do not load.
    """

    edgekit: str
    python: str
    system: str
    host: str
    packages: tuple[Package, ...]
    conversions: tuple[Conversion, ...]
    runtimes: tuple[Engine, ...]
    devices: tuple[str, ...]
    problems: tuple[str, ...]


def diagnose() -> Diagnosis:
    """Look at this machine."""
    problems: list[str] = []
    readers = _loaded(catalog.readers, problems)
    converters = _loaded(catalog.converters, problems)
    runtimes = _loaded(catalog.runtimes, problems)
    transports = _loaded(catalog.transports, problems)
    needs = _requirements(readers, converters, runtimes)
    return Diagnosis(
        edgekit=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        host=_host(problems),
        packages=tuple(_package(need) for need in needs),
        conversions=tuple(conversions(readers, converters, runtimes)),
        runtimes=tuple(_engine(runtime) for runtime in runtimes),
        devices=tuple(f"{transport.scheme}:" for transport in transports),
        problems=tuple(problems),
    )


def conversions(
    readers: Sequence[SourceReader], converters: Sequence[Converter], runtimes: Sequence[Runtime]
) -> Iterator[Conversion]:
    """Every source kind with every format and precision that some reader and converter together make.

    Where several pairs make the same, the one that lacks least is told, the first of equals.
    """
    kinds = dict.fromkeys(kind for reader in readers for kind in reader.kinds)
    for kind, format_, precision in product(kinds, FORMATS, PRECISIONS):
        ways = routes.ways(kind, format_, precision) if converters else ()
        if ways:
            yield _conversion(kind, precision, min(ways, key=lambda way: len(way.missing)), runtimes)


def _conversion(kind: SourceKind, precision: Precision, way: routes.Way, runtimes: Sequence[Runtime]) -> Conversion:
    format_ = way.converter.format
    run = _least_missing(runtime.requires for runtime in runtimes if runtime.format == format_)
    lacking = (*way.missing, *catalog.missing(run))
    return Conversion(
        kind=kind,
        format=format_,
        precision=precision,
        reader=way.reader.name,
        converter=way.converter.name,
        missing=_modules(lacking),
        install=_install(lacking),
    )


def _least_missing(choices: Iterable[Sequence[Requirement]]) -> Sequence[Requirement]:
    """The requirements of the runtime that lacks least: every artifact is run once beside its source."""
    return min(choices, key=lambda needs: len(catalog.missing(needs)), default=())


def _install(lacking: Sequence[Requirement]) -> str:
    return routes.install_command(lacking) if lacking else ""


def _modules(needs: Sequence[Requirement]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(need.module for need in needs))


def _engine(runtime: Runtime) -> Engine:
    lacking = catalog.missing(runtime.requires)
    return Engine(name=runtime.name, format=runtime.format, missing=_modules(lacking), install=_install(lacking))


def _requirements(
    readers: Sequence[SourceReader], converters: Sequence[Converter], runtimes: Sequence[Runtime]
) -> Sequence[Requirement]:
    """Every requirement once by module, in the order in which they are met."""
    everyone = [
        *(need for reader in readers for need in reader.requires),
        *(need for item in converters for precision in item.precisions for need in item.requires(precision)),
        *(need for runtime in runtimes for need in runtime.requires),
    ]
    return list({need.module: need for need in reversed(everyone)}.values())[::-1]


def _package(need: Requirement) -> Package:
    installed = not catalog.missing([need])
    return Package(module=need.module, extra=need.extra, version=module_version(need.module) if installed else None)


def module_version(module: str) -> str:
    """The version of the distribution that brings a module; `unknown` for one that has none."""
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        names = _distributions().get(module)
        return version(names[0]) if names else "unknown"


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _host(problems: list[str]) -> str:
    try:
        return catalog.targets().load("host").title
    except (ImportError, EdgekitError) as error:
        problems.append(str(error))
        return platform.machine()


def _loaded(load: Callable[[], Sequence[Part]], problems: list[str]) -> Sequence[Part]:
    """What the catalog finds; a part that cannot be imported becomes a problem to tell."""
    try:
        return load()
    except ImportError as error:
        problems.append(str(error))
        return ()
