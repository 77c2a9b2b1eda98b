"""Pushes, rollbacks and what is on a device, on the terminal."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from edgekit.deployment import Pushed
from edgekit.protocols import Provisioned, Version
from edgekit_cli.fleet import Outcomes
from edgekit_cli.render.json import print_json
from edgekit_cli.render.runs import print_failures

_ID_DIGITS = 12
"""Enough of an id to tell versions apart."""


def print_pushes(outcomes: Outcomes[list[Pushed]], *, as_json: bool) -> None:
    """A line for each artifact on each device: what travelled, and what is in use now."""
    if as_json:
        _print_json(outcomes, "pushed")
        return
    for device, pushes in outcomes.values():
        where = f"{device.name}: " if outcomes.many else ""
        for pushed in pushes:
            checked = ", golden vectors pass there" if pushed.checked else ""
            click.echo(f"{click.style('✓', fg='green')} {where}{pushed.artifact} {_travelled(pushed)}{checked}.")
            if not outcomes.many:
                click.echo(f"    in use: {pushed.folder}")
    _print_failures(outcomes)


def _travelled(pushed: Pushed) -> str:
    if not pushed.sent_bytes:
        return "was there already"
    return f"pushed: {_size(pushed.sent_bytes)} sent of {_size(pushed.bytes)}"


def print_rollbacks(name: str, outcomes: Outcomes[Version], *, as_json: bool) -> None:
    """Which version is in use now."""
    if as_json:
        _print_json(outcomes, "version")
        return
    for device, version in outcomes.values():
        where = f" on {device.name}" if outcomes.many else ""
        click.echo(f"{click.style('✓', fg='green')} {name} is back at {version.id[:_ID_DIGITS]}{where}.")
    _print_failures(outcomes)


def print_artifacts(outcomes: Outcomes[Mapping[str, Sequence[Version]]], *, as_json: bool) -> None:
    """Each artifact with its versions."""
    if as_json:
        _print_json(outcomes, "artifacts")
        return
    for device, found in outcomes.values():
        if outcomes.many:
            click.secho(device.name, bold=True)
        if not found:
            click.echo("No artifacts. `edgekit push` brings some.")
        for name, versions in sorted(found.items()):
            click.secho(name, bold=True)
            for version in versions:
                mark = click.style("in use", fg="green") if version.current else "      "
                came = datetime.fromtimestamp(version.seconds, UTC)
                click.echo(f"  {version.id[:_ID_DIGITS]}  {mark}  {_size(version.size):>9}  {came:%Y-%m-%d %H:%M} UTC")
    _print_failures(outcomes)


def print_provisioned(outcomes: Outcomes[Provisioned], *, as_json: bool) -> None:
    """What was installed, and what travelled for it."""
    if as_json:
        _print_json(outcomes, "provisioned")
        return
    for device, found in outcomes.values():
        where = f"{device.name}: " if outcomes.many else ""
        packages = ", ".join(f"{name} {version}" for name, version in found.packages.items())
        how = f"{_size(found.sent_bytes)} sent" if found.sent_bytes else "was there already"
        python = f" (Python {found.python})" if found.python else ""
        click.echo(f"{click.style('✓', fg='green')} {where}{found.runtime} works: {how}{python}.")
        click.echo(f"    {packages}")
    _print_failures(outcomes)


def print_removed(outcomes: Outcomes[str], *, as_json: bool) -> None:
    """That a runtime is gone."""
    if as_json:
        _print_json(outcomes, "removed")
        return
    for device, runtime in outcomes.values():
        click.echo(f"{click.style('✓', fg='green')} {runtime} is removed from {device.name}.")
    _print_failures(outcomes)


def _print_failures(outcomes: Outcomes[Any]) -> None:
    print_failures((device.name, error) for device, error in outcomes.failures())


def _print_json(outcomes: Outcomes[Any], key: str) -> None:
    done = [{"device": device.name, "url": device.url, key: value} for device, value in outcomes.values()]
    failed = [
        {"device": device.name, "cause": error.cause, "hint": error.hint} for device, error in outcomes.failures()
    ]
    print_json({"devices": done, "failures": failed})


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"  # noqa: PLR2004 - a megabyte
