"""`edgekit convert`: source model in, verified artifacts out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit_cli.image_options import IMAGES, take_images
from edgekit_cli.options import DURATION, JSON, SHARE, SIZE

if TYPE_CHECKING:
    from edgekit.conversion import Outcome


@click.command(short_help="Convert a trained model into verified artifacts.")
@click.argument("source")
@click.option(
    "--format",
    "-f",
    "formats",
    multiple=True,
    required=True,
    help="tflite, torchscript, onnx, executorch, savedmodel, c or tflm; repeatable.",
)
@click.option(
    "--precision", "-p", "precisions", multiple=True, default=("fp32",), show_default=True,
    help="fp32, fp16, dynamic-int8 or int8; repeatable.",
)  # fmt: skip
@click.option("--target", default="host", show_default=True, help="The target profile (see `edgekit targets list`).")
@click.option("--input", "inputs", multiple=True, metavar="NAME=SHAPE:DTYPE", help="x=1x3x96x96:float32; repeatable.")
@click.option("--weights", type=click.Path(), default="", help="The checkpoint for file.py:factory.")
@click.option(
    "--calibration",
    type=click.Path(),
    default="",
    help="Samples for int8: .npz, .npy, a folder of them or of images, or file.py:function.",
)
@click.option("--eval", "evaluation", type=click.Path(), default="", help="Samples with labels, in the same forms.")
@IMAGES
@click.option("--max-error", type=float, help="Parity bar: relative RMS error. Default by precision: 1e-4 to 0.1.")
@click.option("--max-drop", type=SHARE, default=None, help="Accuracy int8 may lose, e.g. 0.5%: keeps layers in float.")
@click.option(
    "--io-type",
    type=click.Choice(["float32", "int8"]),
    default="float32",
    show_default=True,
    help="What int8 artifacts take and give (int8: TFLite).",
)
@click.option("--layout", default="", help="NHWC or NCHW: how artifacts take images. Default: as the source does.")
@click.option("--out", "-o", type=click.Path(file_okay=False, path_type=Path), default=".", help="Where artifacts go.")
@click.option("--name", default="", help="What artifacts are called. Default: the source's name.")
@click.option("--signature", default="", help="Which signature of a SavedModel or TFLite file. Default: its only one.")
@click.option("--trust", is_flag=True, help="Code in the source file may run: pickles, Lambda layers.")
@click.option("--no-cache", is_flag=True, help="Make it again even when the same request was made before.")
@click.option("--timeout", type=DURATION, default="30min", show_default=True, help="Time for a worker.")
@click.option("--memory-limit", type=SIZE, default=None, help="Memory for a worker, e.g. 8G. Default: 80 % of all.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@JSON
def convert(
    *,
    source: str,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    inputs: tuple[str, ...],
    weights: str,
    signature: str,
    trust: bool,
    no_cache: bool,
    dry_run: bool,
    timeout: float,
    memory_limit: int | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Convert SOURCE into one artifact for each format and precision.

    SOURCE is a PyTorch exported program (.pt2), a TorchScript file, file.py:factory (with --weights), a Keras
    .keras or .h5 file, a TensorFlow SavedModel folder, or an ONNX or float TFLite file. Each artifact is run beside
    its source before it is shown; one that is off by more than --max-error is reported, and the exit code is 1.

    \b
    Example:
      edgekit convert net.py:make_net --weights net.pt --format tflite --precision fp32 --precision int8 \\
          --calibration samples.npz --eval test.npz -o out
      edgekit convert net.onnx --format onnx --precision int8 --calibration samples.npz --eval test.npz --max-drop 0.5%
    """
    from edgekit.conversion import convert_all
    from edgekit.limits import Limits, most_memory
    from edgekit.planning import Request, plan_conversion
    from edgekit.routes import check_names
    from edgekit.source import open_source, parse_input
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.artifacts import print_outcome, print_plan

    check_names(formats, precisions)
    given = tuple(parse_input(text) for text in inputs)
    request = Request(
        source=open_source(source, weights=weights, inputs=given, trusted=trust, signature=signature),
        formats=formats,  # type: ignore[arg-type]  # checked above
        precisions=precisions,  # type: ignore[arg-type]  # checked above
        images=take_images(options),
        use_cache=not no_cache,
        limits=Limits(timeout_s=timeout, memory=memory_limit or most_memory()),
        **options,
    )
    if dry_run:
        print_plan(plan_conversion(request), as_json=as_json)
        return 0
    outcome = convert_all(request, terminal_progress())
    print_outcome(outcome, as_json=as_json)
    return _exit_code(outcome)


def _exit_code(outcome: "Outcome") -> int:
    """The worst of what happened: a failure, else an artifact that missed its bar."""
    failures = [item.error.exit_code for item in outcome.not_made]
    missed = any(not item.artifact.manifest.parity.passed for item in outcome.made)
    return max([*failures, int(missed)])
