"""Target profiles on the terminal."""

from collections.abc import Iterator, Sequence

import click

from edgekit.artifact import Manifest
from edgekit.errors import EdgekitError
from edgekit.plan import Objection
from edgekit.target import Fact, PowerMode, RuntimeFact, TargetProfile
from edgekit_cli.render.json import print_json


def print_profiles(profiles: Sequence[TargetProfile], wrong: Sequence[EdgekitError], *, as_json: bool) -> None:
    """A line for each profile, and what is wrong with those that are."""
    if as_json:
        print_json({"targets": profiles, "wrong": [{"cause": item.cause, "hint": item.hint} for item in wrong]})
        return
    rows = [(item.name, item.title, item.arch, _memory(item), _formats(item)) for item in profiles]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for error in wrong:
        click.echo(f"{click.style('✗', fg='red')} {error.cause}")
        if error.hint:
            click.echo(f"    next: {error.hint}")


def _memory(profile: TargetProfile) -> str:
    return _size(profile.memory_bytes) if profile.memory_bytes else "-"


def _size(count: int) -> str:
    if count >= 2**29:
        return f"{count / 2**30:.3g} GiB"
    return f"{count / 2**20:.3g} MiB" if count >= 2**20 else f"{count / 2**10:.3g} KiB"


def _formats(profile: TargetProfile) -> str:
    return " ".join(dict.fromkeys(runtime.format for runtime in profile.runtimes))


def print_profile(profile: TargetProfile) -> None:
    """Everything a profile says, with its sources."""
    click.secho(f"{profile.title} ({profile.name})", bold=True)
    for name, value in _facts(profile):
        click.echo(f"  {name:<13}{value}")
    _print_section("runtimes", map(_runtime, profile.runtimes))
    _print_section("power modes", map(_power_mode, profile.power_modes))
    _print_section("sources", map(_source, profile.sources))


def _facts(profile: TargetProfile) -> Iterator[tuple[str, str]]:
    cpu = profile.cpu
    cores = f"{cpu.cores} core{'s' if cpu.cores > 1 else ''}" if cpu.cores else ""
    hertz = f"{cpu.max_hz / 1e9:g} GHz" if cpu.max_hz >= 1e9 else f"{cpu.max_hz / 1e6:g} MHz"  # noqa: PLR2004 - giga
    clock = f"up to {hertz}" if cpu.max_hz else ""
    yield "processor", ", ".join(filter(None, [cpu.model, cores, clock, profile.arch]))
    if cpu.features:
        yield "features", " ".join(cpu.features)
    yield "memory", _memory(profile) if profile.memory_bytes else "differs by machine"
    if profile.flash_bytes:
        yield "flash", _size(profile.flash_bytes)
    yield "system", f"{profile.system}, glibc {profile.glibc} or newer" if profile.glibc else profile.system
    for item in profile.accelerators:
        yield "accelerator", f"{item.name}, reached by {', '.join(item.delegates)}" if item.delegates else item.name
    yield "reached by", ", ".join(f"{scheme}:" for scheme in profile.connect)
    yield "evidence", profile.evidence


def _print_section(title: str, lines: Iterator[str]) -> None:
    shown = list(lines)
    if shown:
        click.secho(title, bold=True)
        click.echo("\n".join(f"  {line}" for line in shown))


def _runtime(runtime: RuntimeFact) -> str:
    engine = f", engine {runtime.engine}" if runtime.engine else ""
    note = f"\n               {runtime.note}" if runtime.note else ""
    return f"{runtime.format:<13}{runtime.package}{runtime.version}{engine}{note}"


def _power_mode(mode: PowerMode) -> str:
    limits = [f"{mode.cores} cores" if mode.cores else "", f"up to {mode.max_hz / 1e6:g} MHz" if mode.max_hz else ""]
    return f"{mode.id:<2} {mode.name:<18}{', '.join(filter(None, [*limits, mode.note]))}".rstrip()


def _source(source: Fact) -> str:
    address = f"\n               {source.url}" if source.url else ""
    return f"{', '.join(source.keys)}: {source.title}{address}"


def print_fit(manifest: Manifest, profile: TargetProfile, misfits: Sequence[Objection]) -> None:
    """Whether an artifact fits, and what it would run on there."""
    if not misfits:
        runtime = profile.runtime_for(manifest.format)
        with_ = f", with {runtime.package}{runtime.version}" if runtime else ""
        click.echo(f"{click.style('✓', fg='green')} {manifest.name} fits {profile.title}{with_}.")
        if profile.evidence != "physical":
            click.echo(f"    The profile is from documents ({profile.evidence}): measure with `edgekit bench`.")
        return
    click.echo(f"{click.style('✗', fg='red')} {manifest.name} does not fit {profile.title}:")
    for objection in misfits:
        click.echo(f"    {objection.cause}")
        if objection.hint:
            click.echo(f"    next: {objection.hint}")
