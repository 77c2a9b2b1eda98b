"""What `edgekit check` found, for people."""

import textwrap
from collections.abc import Iterator
from typing import Final

import click

from edgekit.placement import Fallback, Microcontroller, Placement
from edgekit.preflight import Checked, Memory
from edgekit_cli.render.artifacts import parity_words, size

_WIDTH: Final = 100
_LAYERS: Final = 4
"""How many layers a line names."""


def print_checked(checked: Checked) -> None:
    """One artifact."""
    mark = click.style("✗", fg="red") if checked.problems else click.style("✓", fg="green")
    click.echo(f"{mark} {checked.label}")
    for problem in checked.problems:
        _say(problem.cause)
        if problem.hint:
            _say(f"next: {problem.hint}")
    for line in _facts(checked):
        _say(line)


def _facts(checked: Checked) -> Iterator[str]:
    if checked.parity is not None:
        yield f"made and run: {', '.join(parity_words(checked.parity))}, in {checked.parity.runtime}"
    if checked.placement is not None:
        yield from _placement(checked.placement)
    if checked.footprint is not None:
        flash, ram = (f" of {size(has)}" if has else "" for has in _has(checked))
        yield (
            f"on a microcontroller: {size(checked.footprint.weight_bytes)}{flash} of flash for weights, "
            f"{size(checked.footprint.arena_bytes)}{ram} of RAM for tensors"
        )
    if checked.memory is not None and checked.footprint is None:
        yield _memory(checked.memory)


def _has(checked: Checked) -> tuple[int, int]:
    """Flash and RAM of the board; 0 where there is none."""
    return (checked.board.weight_bytes, checked.board.ram_bytes) if checked.board else (0, 0)


def _placement(placement: Placement) -> Iterator[str]:
    if placement.engine:
        of = (
            f"{placement.taken} of {placement.operators} {placement.unit}"
            if placement.operators
            else "all that it loads"
        )
        yield f"{placement.engine} executes {of}"
    yield from map(_fallback, placement.fallbacks)
    if placement.microcontroller is not None:
        yield _microcontroller(placement.microcontroller)


def _fallback(fallback: Fallback) -> str:
    layers = ", ".join(fallback.layers[:_LAYERS])
    more = f" and {len(fallback.layers) - _LAYERS} more" if len(fallback.layers) > _LAYERS else ""
    return f"{fallback.operator}: {fallback.why}" + (f"; used by {layers}{more}" if layers else "")


def _microcontroller(found: Microcontroller) -> str:
    if found.refused:
        return f"TensorFlow Lite Micro does not run it: {found.refused}"
    return f"TensorFlow Lite Micro runs it in an arena of {size(found.arena_bytes)}"


def _memory(memory: Memory) -> str:
    tensors = "" if memory.activations is None else f", inner tensors {size(memory.activations)}"
    has = f"; the target has {size(memory.available)}" if memory.available else ""
    return (
        f"memory: {size(memory.needed)} = runtime {size(memory.runtime)} + model {size(memory.held)} as measured here "
        f"(file {size(memory.model)}{tensors}){has}"
    )


def _say(text: str) -> None:
    for line in textwrap.wrap(text, _WIDTH - 4):
        click.echo(f"    {line}")
