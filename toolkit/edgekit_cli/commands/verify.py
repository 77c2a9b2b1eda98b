"""`edgekit verify`: parity and accuracy again, now."""

from typing import TYPE_CHECKING

import click

from edgekit_cli.options import JSON

if TYPE_CHECKING:
    from edgekit.artifact import Artifact


@click.command(short_help="Run an artifact beside its source again, now.")
@click.argument("artifact")
@click.option(
    "--against", default="", metavar="SOURCE", help="Load and run the source anew; with --layers, an artifact."
)
@click.option("--layers", is_flag=True, help="Find the layers that the error comes from (tflite, onnx).")
@click.option("--plot", type=click.Path(dir_okay=False), default="", help="With --layers: write a chart, HTML.")
@click.option("--weights", type=click.Path(), default="", help="The checkpoint for --against file.py:factory.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=SHAPE:DTYPE", help="As for `edgekit convert`.")
@click.option("--eval", "evaluation", type=click.Path(), default="", help="Samples with labels, for accuracy.")
@click.option("--trust", is_flag=True, help="Code in the source file may run: pickles, Lambda layers.")
@JSON
def verify(
    *,
    artifact: str,
    against: str,
    layers: bool,
    plot: str,
    weights: str,
    inputs: tuple[str, ...],
    evaluation: str,
    trust: bool,
    as_json: bool,
) -> int:
    """Run ARTIFACT on its golden vectors and compare with its source; exit code 1 when it misses its bar.

    Without --against the outputs that the source gave when the artifact was made are compared. With --layers, its
    inner tensors are compared with those of the fp32 artifact of the same source beside it (or --against another):
    the layers that add most of the error come first.

    \b
    Example:
      edgekit verify out/net-tflite-int8.edgekit --against net.py:make_net --weights net.pt --eval test.npz
      edgekit verify out/net-tflite-int8.edgekit --layers --plot layers.html
    """
    from edgekit.artifact import load_artifact
    from edgekit.errors import UsageError
    from edgekit.source import open_source, parse_input
    from edgekit.verification import verify as verify_artifact
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.artifacts import print_parity

    loaded = load_artifact(artifact)
    if layers:
        return _layers(loaded, against, plot, as_json=as_json)
    if plot:
        raise UsageError("--plot shows layers.", hint="Say --layers, too.")
    source = None
    if against:
        given = tuple(parse_input(text) for text in inputs) or loaded.manifest.signature.inputs
        source = open_source(against, weights=weights, inputs=given, trusted=trust)
    parity = verify_artifact(loaded, against=source, evaluation=evaluation, progress=terminal_progress())
    print_parity(loaded, parity, as_json=as_json)
    return 0 if parity.passed else 1


def _layers(artifact: "Artifact", against: str, plot: str, *, as_json: bool) -> int:
    from edgekit.artifact import load_artifact
    from edgekit.verification import blame_layers
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.layers import print_layers, write_chart

    reference = load_artifact(against) if against else None
    blame = blame_layers(artifact, against=reference, progress=terminal_progress())
    if plot:
        write_chart(artifact.manifest.name, blame, plot)
    print_layers(artifact, blame, as_json=as_json)
    return 0
