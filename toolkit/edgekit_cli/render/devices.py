"""Devices on the terminal: the inventory, what they are, what was found."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import click

from edgekit.device_facts import Cluster, DeviceFacts, SeenRuntime
from edgekit.errors import EdgekitError
from edgekit.inventory import Device
from edgekit.probing import Proposal
from edgekit_bridge.probe.discover import Discovery
from edgekit_cli.render.json import print_json

_LABEL: Final = 13
"""Columns of a page's labels."""

_TELLING: Final = (
    "neon", "vfpv4", "fp", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
    "sse4_2", "avx", "fma", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8",
)  # fmt: skip
"""The CPU features that runtimes pick their kernels by; the JSON has all."""


_HEADINGS: Final = ("device", "model", "cores", "memory", "python", "target")

_LEAST_MODEL: Final = 8
"""Columns that a model's name keeps in a narrow terminal."""


class Probed(NamedTuple):
    """What became of probing one device."""

    device: Device
    facts: DeviceFacts | None
    proposal: Proposal | None
    error: EdgekitError | None


def print_inventory(devices: Sequence[Device], *, as_json: bool) -> None:
    """A line for each device."""
    if as_json:
        print_json({"devices": devices})
    elif not devices:
        click.echo("No devices are listed. Add one: edgekit devices add NAME ssh://user@host")
    else:
        _print_table([(item.name, item.url, item.target or "-", " ".join(item.tags)) for item in devices])


def print_discovery(found: Discovery, *, as_json: bool) -> None:
    """Each finding with the URL to type, and what is in the way of using it."""
    if as_json:
        print_json(found)
        return
    width = max((len(item.url) for item in found.findings), default=0)
    for item in found.findings:
        name = click.style(f"[{item.name}]", fg="green") if item.name else ""
        click.echo("  ".join(filter(None, [item.url.ljust(width), name, item.what])).rstrip())
        if item.addresses:
            click.echo(f"    at {', '.join(item.addresses)}")
        if item.note:
            _print_wrapped(item.note, "    ")
    unnamed = [item for item in found.findings if not item.name and not item.note]
    if unnamed:
        click.echo(f"Give one a name: edgekit devices add NAME {unnamed[0].url}")
    elif not found.findings:
        click.echo("No devices were found.")
    for line in found.missing:
        click.secho(line, fg="yellow")


def print_probes(probed: Sequence[Probed], *, as_json: bool) -> None:
    """A page for one device, a table for several."""
    if as_json:
        print_json({"devices": [_as_json(item) for item in probed]})
    elif len(probed) == 1 and probed[0].facts and probed[0].proposal:
        _print_page(probed[0].device, probed[0].facts, probed[0].proposal)
    else:
        rows = [_row(item.device, item.facts, item.proposal) for item in probed if item.facts and item.proposal]
        if rows:
            _print_table(_narrowed([_HEADINGS, *rows]))
        for item in probed:
            if item.error:
                click.echo(f"{click.style('✗', fg='red')} {item.device.name}: {item.error.cause}")
                if item.error.hint:
                    _print_wrapped(f"next: {item.error.hint}", "    ")


def _as_json(item: Probed) -> dict[str, Any]:
    error = {"cause": item.error.cause, "hint": item.error.hint} if item.error else None
    return {"device": item.device, "facts": item.facts, "proposal": item.proposal, "error": error}


def _row(device: Device, facts: DeviceFacts, proposal: Proposal) -> tuple[str, ...]:
    return (
        device.name,
        facts.model or facts.cpu or facts.machine,
        str(facts.cores or "-"),
        _size(facts.memory_bytes),
        facts.python.version if facts.python else "none",
        device.target or proposal.target or "-",
    )


def _narrowed(rows: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
    """The rows with the models cut to what the terminal has room for."""
    others = sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - max(len(row[1]) for row in rows) - 2
    room = max(_LEAST_MODEL, shutil.get_terminal_size().columns - others - 2)
    return [(row[0], _cut(row[1], room), *row[2:]) for row in rows]


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_page(device: Device, facts: DeviceFacts, proposal: Proposal) -> None:
    click.secho(facts.model or f"{facts.cpu or facts.userland} ({device.name})", bold=True)
    for label, value in _lines(facts):
        if value:
            _print_wrapped(value, "  " + label.ljust(_LABEL))
    if facts.runtimes:
        _print_runtimes(facts.runtimes)
    _print_target(device, proposal)


def _lines(facts: DeviceFacts) -> Iterator[tuple[str, str]]:
    """What a reader wants to know first, first."""
    emulated = {"emulated": " (emulated: its times are not the device's)", "virtual": " (on a shared CPU)"}
    yield "processor", f"{facts.cpu or facts.userland}{emulated.get(facts.kind, '')}"
    yield "cores", ", ".join(_cluster(item) for item in facts.clusters) or str(facts.cores or "")
    yield "features", " ".join(word for word in _TELLING if word in facts.cpu_features)
    yield "chip", facts.soc
    yield "memory", _size(facts.memory_bytes) if facts.memory_bytes else ""
    yield "system", ", ".join(filter(None, [facts.os, facts.kernel, facts.libc]))
    yield "nvidia", f"L4T {facts.l4t}" if facts.l4t else ""
    yield "programs", "" if facts.userland == facts.machine else f"{facts.userland} on a {facts.machine} kernel"
    yield "python", _python(facts)
    yield "disk", _disk(facts)
    yield "now", ", ".join(_state(facts))
    for item in facts.accelerators:
        yield "accelerator", f"{item.name} at {item.place}" + (f", {item.detail}" if item.detail else "")
    yield "up", _duration(facts.uptime_s) if facts.uptime_s else ""


def _cluster(cluster: Cluster) -> str:
    clock = f" up to {cluster.max_hz / 1e9:.3g} GHz" if cluster.max_hz else ""
    return f"{len(cluster.cores)} x {cluster.cpu or 'core'}{clock}"


def _python(facts: DeviceFacts) -> str:
    if facts.python is None:
        return "none; the harness needs Python 3.6 or newer there"
    return f"{facts.python.version} ({facts.python.abi}), {facts.python.executable}"


def _disk(facts: DeviceFacts) -> str:
    if not facts.disk_total_bytes:
        return ""
    return f"{_size(facts.disk_free_bytes)} of {_size(facts.disk_total_bytes)} free at {facts.home}"


def _state(facts: DeviceFacts) -> Iterator[str]:
    if facts.governor:
        yield f"governor {' '.join(facts.governor)}"
    for zone, celsius in facts.temperature_c.items():
        yield f"{zone} {celsius:.1f} °C"
    if facts.throttled:
        yield f"throttle flags {facts.throttled}"
    if facts.load1 is not None:
        yield f"load {facts.load1:g}"


def _print_runtimes(runtimes: Sequence[SeenRuntime]) -> None:
    click.secho("runtimes", bold=True)
    for runtime in runtimes:
        place = "provisioned by edgekit" if runtime.ours else runtime.place
        _print_wrapped(f"{runtime.version or '?':<12} {place}", "  " + runtime.name.ljust(_LABEL + 5))


def _print_target(device: Device, proposal: Proposal) -> None:
    click.secho("target", bold=True)
    if device.target:
        _print_wrapped(f"{device.target}, as the inventory says.", "  ")
        if proposal.target not in {"", device.target}:
            _print_wrapped(f"It looks like {proposal.target}: {proposal.why}", "  ")
        return
    _print_wrapped(" ".join(filter(None, [proposal.target and f"{proposal.target}:", proposal.why])), "  ")
    if proposal.target and device.name != device.url and not device.url.startswith("virtual:"):
        _print_wrapped(f'Keep it: target = "{proposal.target}" below [devices.{device.name}] in edgekit.toml', "  ")


def _size(amount: int) -> str:
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB")):
        if amount >= unit:
            return f"{amount / unit:.3g} {name}"
    return f"{amount // 1024} KiB" if amount else "-"


def _duration(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _print_wrapped(text: str, label: str) -> None:
    """Text beside a label, wrapped to the terminal and indented below it."""
    columns = shutil.get_terminal_size().columns
    lines = textwrap.wrap(text, max(30, columns - len(label)), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines or [""]):
        click.echo((label if number == 0 else " " * len(label)) + line)
