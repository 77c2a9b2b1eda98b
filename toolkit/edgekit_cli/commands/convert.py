"""`edgekit convert`: source model in, verified artifacts out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit_cli.options import JSON
from edgekit_cli.request_options import REQUEST, take_request

if TYPE_CHECKING:
    from edgekit.conversion import Outcome


@click.command(short_help="Convert a trained model into verified artifacts.")
@click.argument("source")
@REQUEST
@click.option("--out", "-o", type=click.Path(file_okay=False, path_type=Path), default=".", help="Where artifacts go.")
@click.option("--name", default="", help="What artifacts are called. Default: the source's name.")
@click.option("--no-cache", is_flag=True, help="Make it again even when the same request was made before.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@JSON
def convert(*, source: str, no_cache: bool, dry_run: bool, as_json: bool, **options: Any) -> int:
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
    from edgekit.planning import plan_conversion
    from edgekit_cli.progress import terminal_progress
    from edgekit_cli.render.artifacts import print_outcome, print_plan

    request = take_request(source, options, use_cache=not no_cache)
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
