"""Artifacts on the terminal and as JSON."""

import textwrap
from collections.abc import Sequence
from typing import Any, Final

import click

from edgekit.artifact import Artifact, Budget, Parity
from edgekit.conversion import Outcome
from edgekit.layers import short_name
from edgekit.planning import Planned
from edgekit_cli.render.json import print_json

_WIDTH: Final = 80
_INDENT: Final = " " * 4


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """What was made, and what was not and why."""
    if as_json:
        made = [
            artifact_json(item.artifact) | {"cached": item.cached, "seconds": item.seconds} for item in outcome.made
        ]
        errors = [
            {
                "label": item.label,
                "cause": item.error.cause,
                "hint": item.error.hint,
                "log": item.error.log,
                "seconds": item.seconds,
            }
            for item in outcome.not_made
        ]
        print_json({"artifacts": made, "failures": errors})
        return
    for item in outcome.made:
        _print_artifact(item.artifact, cached=item.cached)
    for failed in outcome.not_made:
        click.echo(f"{click.style('✗', fg='red')} {failed.label}: {failed.error.cause}")
        for word, text in (("next", failed.error.hint), ("log", failed.error.log)):
            if text:
                click.echo(f"    {word}: {text}")


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """An artifact for machines: where it is, and its manifest."""
    return {"path": artifact.path, "id": artifact.id, "manifest": artifact.manifest}


def _print_artifact(artifact: Artifact, *, cached: bool) -> None:
    manifest = artifact.manifest
    mark = click.style("✓", fg="green") if manifest.parity.passed else click.style("✗", fg="red")
    facts = [size(manifest.model_bytes), *parity_words(manifest.parity)]
    if manifest.quantized is not None:
        facts.append(f"{manifest.quantized.weights:.0%} of weights reduced")
    if cached:
        facts.append("made before")
    click.echo(f"{mark} {artifact.path}")
    click.echo(f"    {', '.join(facts)}")
    if manifest.budget is not None:
        words = _budget_words(manifest.budget)
        click.echo(textwrap.fill(words, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT))
    if not manifest.parity.passed:
        worst = manifest.parity.worst
        click.echo(
            f"    output {worst.name!r} differs from the source by {worst.relative_rms:.2g} (relative RMS error); "
            f"the bar is {manifest.parity.max_error:g}"
        )


def _budget_words(budget: Budget) -> str:
    """How an accuracy budget was kept."""
    lost = f"plain int8 loses {budget.plain.drop_points or 0.0:.1f} points in {size(budget.plain_bytes)}"
    if not budget.kept:
        return f"{lost}, within {100 * budget.max_drop:g}"
    names = ", ".join(dict.fromkeys(short_name(layer.name) for layer in budget.kept))
    return f"{lost}; in float to lose {100 * budget.max_drop:g} at most: {names}"


def print_parity(artifact: Artifact, parity: Parity, *, as_json: bool) -> None:
    """What running an artifact again gave."""
    if as_json:
        print_json({"artifact": artifact.path, "parity": parity})
        return
    mark = click.style("✓", fg="green") if parity.passed else click.style("✗", fg="red")
    click.echo(f"{mark} {artifact.path}")
    click.echo(f"    {', '.join(parity_words(parity))}, over {parity.vectors} golden vectors in {parity.runtime}")
    for output in parity.outputs:
        click.echo(
            f"    {output.name}: relative RMS error {output.relative_rms:.2g} (bar {parity.max_error:g}), "
            f"largest difference {output.max_abs:.2g}, cosine {output.cosine:.6f}"
        )


def parity_words(parity: Parity) -> list[str]:
    """Parity and accuracy, as people read them."""
    worst = parity.worst
    words = ["equal to the source" if worst.sqnr_db is None else f"{worst.sqnr_db:.0f} dB to the source"]
    if parity.accuracy is not None:
        drop = parity.accuracy.drop_points
        change = "" if drop is None else f" ({0 - drop:+.1f} points)"
        words.append(f"accuracy {parity.accuracy.artifact:.1%}{change}")
    return words


def size(count: int) -> str:
    """Bytes as people read them: decimal units."""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"  # noqa: PLR2004 - a megabyte


def print_plan(planned: Sequence[Planned], *, as_json: bool) -> None:
    """What would be made, and how."""
    if as_json:
        print_json({"plans": [{"name": item.name, "plan": item.plan} for item in planned]})
        return
    for item in planned:
        route = item.plan.route
        engine = f", engine {item.plan.engine}" if item.plan.engine else ""
        click.echo(f"{item.name}: {route.reader} → {route.converter}, parity bar {item.plan.max_error:g}{engine}")
