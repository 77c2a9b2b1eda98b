"""The layers that an artifact's error comes from."""

import textwrap
from html import escape
from pathlib import Path
from typing import Any, Final

import click

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.layers import SHOWN, Blame, LayerError
from edgekit.publish import whole_file
from edgekit_cli.render.json import print_json

_WIDTH: Final = 80

_NAME: Final = 34
"""Columns that a layer's name takes at most: the table fits a terminal of 80."""


def print_layers(artifact: Artifact, blame: Blame, *, as_json: bool) -> None:
    """The layers to blame first; for machines all of them, in the order of the graph."""
    if as_json:
        print_json({"artifact": artifact.path, **{name: getattr(blame, name) for name in blame.__struct_fields__}})
        return
    click.echo(f"{artifact.path}, layer by layer against {Path(blame.against).name}")
    click.secho(f"{'':>4} {'layer':<{_NAME}} {'operator':<18} {'adds':>6} {'SQNR':>5}  cosine", bold=True)
    for layer in blame.ranked[:SHOWN]:
        click.echo(_row(layer))
    left = len(blame.layers) - SHOWN
    if left > 0:
        click.echo(f"     … and {left} more, which add less: --json")
    how = (
        "adds: the relative RMS error that a layer adds to what comes in; SQNR in dB to the model in fp32, over "
        f"{blame.vectors} golden vectors; by {blame.kernels}."
    )
    notes = [how]
    if blame.unmatched:
        notes.append(f"{len(blame.unmatched)} tensors of the fp32 model are not in this one (fused, or renamed).")
    for note in notes:
        click.echo(textwrap.fill(note, _WIDTH))


def _row(layer: LayerError) -> str:
    label = layer.label if len(layer.label) <= _NAME else f"{layer.label[: _NAME - 1]}…"
    sqnr = "equal" if layer.sqnr_db is None else f"{layer.sqnr_db:.0f}"
    adds = f"{100 * layer.added:.2g}%"
    return f"{layer.rank:>3}. {label:<{_NAME}} {layer.operator[:18]:<18} {adds:>6} {sqnr:>5}  {layer.cosine:.5f}"


def write_chart(name: str, blame: Blame, path: str) -> None:
    """What each layer adds and its SQNR, in the order of the graph, as a page that needs nothing else.

    Raises:
        UsageError: Plotly is not installed, or the file cannot be written.
    """
    try:
        from plotly.io import to_html
    except ImportError:
        raise UsageError("A chart needs Plotly, which is missing.", hint="pip install plotly") from None
    page = to_html(_figure(name, blame), include_plotlyjs=True, validate=False)
    with whole_file(Path(path)) as file:
        file.write_text(page, "utf-8")


def _figure(name: str, blame: Blame) -> dict[str, Any]:
    """Plotly reads markup in names, so they are escaped: https://plotly.com/javascript/reference/."""
    layers = blame.layers
    names = [f"{place}. {escape(layer.label)}" for place, layer in enumerate(layers, 1)]
    hover = [f"{escape(layer.operator)}, rank {layer.rank}<br>cosine {layer.cosine:.6f}" for layer in layers]
    shared = {"x": names, "customdata": hover, "hovertemplate": "%{x}<br>%{y:.3g}<br>%{customdata}<extra></extra>"}
    return {
        "data": [
            {**shared, "type": "bar", "name": "adds, %", "y": [100 * layer.added for layer in layers]},
            {**shared, "type": "scatter", "name": "SQNR, dB", "yaxis": "y2", "y": [layer.sqnr_db for layer in layers]},
        ],
        "layout": {
            "title": {"text": f"{escape(name)}: what each layer adds to the error, against {Path(blame.against).name}"},
            "yaxis": {"title": {"text": "relative RMS error that the layer adds, %"}, "rangemode": "tozero"},
            "yaxis2": {"title": {"text": "SQNR of its output, dB"}, "overlaying": "y", "side": "right"},
            "xaxis": {"automargin": True},
            "legend": {"orientation": "h"},
        },
    }
