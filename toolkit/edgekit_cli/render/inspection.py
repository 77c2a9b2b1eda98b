"""What `edgekit inspect` shows: facts in a column of names and a column of values."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from edgekit.artifact import Artifact, Footprint
from edgekit.jobs import Inspected
from edgekit.layers import short_name
from edgekit.model import SourceModel, TensorSpec
from edgekit_cli.render.artifacts import artifact_json, parity_words, size
from edgekit_cli.render.json import print_json

_NAME_WIDTH: Final = 13
_WIDTH: Final = 80


def print_artifact(artifact: Artifact, *, as_json: bool) -> None:
    """An artifact's manifest."""
    if as_json:
        print_json(artifact_json(artifact))
        return
    manifest = artifact.manifest
    _fact("artifact", f"{manifest.name} ({artifact.id[:12]})")
    _fact("format", f"{manifest.format} {manifest.precision}, {size(manifest.model_bytes)}, for {manifest.plan.target}")
    _tensors("input", manifest.signature.inputs)
    _tensors("output", manifest.signature.outputs)
    _fact("parity", ", ".join((*parity_words(manifest.parity), f"in {manifest.parity.runtime}")))
    if manifest.quantized is not None:
        share = manifest.quantized
        _fact("quantized", f"{share.weights:.0%} of weights, {share.operators:.0%} of compute operators on integers")
    if manifest.plan.calibration is not None:
        _fact("calibration", f"{manifest.plan.calibration.name}, {manifest.plan.calibration.samples} samples")
    _fact("operators", _counts(manifest.operators))
    if manifest.footprint is not None:
        _footprint(manifest.footprint)
    source = manifest.source
    _fact("source", f"{source.name} ({source.kind}), {source.parameters:,} parameters, {source.framework}")
    route = manifest.plan.route
    _fact("made by", f"edgekit {manifest.edgekit}: {route.reader} → {route.converter}")
    _fact("packages", ", ".join(f"{name} {version}" for name, version in manifest.packages.items()))
    for note in manifest.notes:
        _fact("note", note)


def print_source(source: SourceModel, facts: Inspected, *, as_json: bool) -> None:
    """A source model."""
    if as_json:
        print_json({"source": source, "facts": facts})
        return
    path = Path(source.path)
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    files += [Path(source.weights)] if source.weights else []
    _fact("source", f"{path.name} ({source.kind}), {size(sum(item.stat().st_size for item in files))}")
    _fact("framework", facts.framework)
    _fact("parameters", f"{facts.parameters:,}")
    _tensors("input", facts.signature.inputs)
    _tensors("output", facts.signature.outputs)
    _fact("operators", _counts(facts.operators))
    for note in facts.notes:
        _fact("note", note)


def _fact(name: str, value: str) -> None:
    lines = textwrap.wrap(value, _WIDTH - _NAME_WIDTH, break_long_words=False) or [""]
    click.echo(f"{click.style(name.ljust(_NAME_WIDTH), bold=True)}{lines[0]}")
    for line in lines[1:]:
        click.echo(" " * _NAME_WIDTH + line)


def _footprint(footprint: Footprint) -> None:
    """What it takes on a microcontroller, and where the work is."""
    _fact("flash", f"{size(footprint.weight_bytes)} of weights, beside the code")
    _fact("RAM", f"{size(footprint.arena_bytes)} of arena, beside the stack")
    _fact("work", f"{footprint.macs:,} multiply-accumulates")
    for layer in footprint.layers:
        work = f", {layer.macs:,}" if layer.macs else ""
        _fact("layer", f"{layer.operator} {short_name(layer.name)}{work}")


def _tensors(what: str, specs: tuple[TensorSpec, ...]) -> None:
    for spec in specs:
        words = [spec.name, "x".join(map(str, spec.shape)) or "scalar", spec.dtype, spec.layout, _affine(spec)]
        _fact(what, " ".join(filter(None, words)))


def _affine(spec: TensorSpec) -> str:
    """How integers map to real numbers, where there is one scale for all of them."""
    held = spec.quantization
    if held is None:
        return ""
    many = len(held.scale) > 1
    return f"{len(held.scale)} scales" if many else f"(real = {held.scale[0]:g} * (stored - {held.zero_point[0]}))"


def _counts(operators: Mapping[str, int]) -> str:
    ordered = sorted(operators.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in ordered)
