"""The options that say what to make of which source: those of `edgekit convert` and `edgekit check`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from edgekit_cli.image_options import IMAGES, take_images
from edgekit_cli.options import DURATION, SHARE, SIZE

if TYPE_CHECKING:
    from edgekit.planning import Request

_Command = TypeVar("_Command", bound=Callable[..., Any])

_BEFORE: Final = (
    click.option(
        "--format",
        "-f",
        "formats",
        multiple=True,
        required=True,
        help="tflite, torchscript, onnx, ort, executorch, savedmodel, c or tflm; repeatable.",
    ),
    click.option(
        "--precision",
        "-p",
        "precisions",
        multiple=True,
        default=("fp32",),
        show_default=True,
        help="fp32, fp16, dynamic-int8, int8, int16x8 or int4-weight; repeatable.",
    ),
    click.option(
        "--target", default="host", show_default=True, help="The target profile (see `edgekit targets list`)."
    ),
    click.option(
        "--input", "inputs", multiple=True, metavar="NAME=SHAPE:DTYPE", help="x=1x3x96x96:float32; repeatable."
    ),
    click.option("--weights", type=click.Path(), default="", help="The checkpoint for file.py:factory."),
    click.option(
        "--calibration",
        type=click.Path(),
        default="",
        help="Samples for int8: .npz, .npy, a folder of them or of images, or file.py:function.",
    ),
    click.option("--eval", "evaluation", type=click.Path(), default="", help="Samples with labels, in the same forms."),
)

_AFTER: Final = (
    click.option("--max-error", type=float, help="Parity bar: relative RMS error. Default by precision: 1e-4 to 0.3."),
    click.option(
        "--max-drop", type=SHARE, default=None, help="Accuracy int8 may lose, e.g. 0.5%: keeps layers in float."
    ),
    click.option(
        "--io-type",
        type=click.Choice(["float32", "int8"]),
        default="float32",
        show_default=True,
        help="What int8 artifacts take and give (int8: TFLite).",
    ),
    click.option(
        "--calibration-method",
        type=click.Choice(["min-max", "percentile", "entropy", "histogram"]),
        default=None,
        help="How ranges are taken from --calibration. Default: the format's own way.",
    ),
    click.option("--layout", default="", help="NHWC or NCHW: how artifacts take images. Default: as the source does."),
    click.option(
        "--signature", default="", help="Which signature of a SavedModel or TFLite file. Default: its only one."
    ),
    click.option("--trust", is_flag=True, help="Code in the source file may run: pickles, Lambda layers."),
    click.option("--timeout", type=DURATION, default="30min", show_default=True, help="Time for a worker."),
    click.option("--memory-limit", type=SIZE, default=None, help="Memory for a worker, e.g. 8G. Default: 80 % of all."),
)


def REQUEST(command: _Command) -> _Command:  # noqa: N802 - a shared option, as those of `edgekit_cli.options`
    """Add the options; `take_request` takes their values."""
    for option in reversed(_AFTER):
        command = option(command)
    command = IMAGES(command)
    for option in reversed(_BEFORE):
        command = option(command)
    return command


def take_request(source: str, options: dict[str, Any], *, use_cache: bool = True) -> "Request":
    """The request that the options make; what is left of them are its fields by name.

    Raises:
        UsageError: The source is missing or of no kind that edgekit reads, or a name or value is wrong.
    """
    from edgekit.limits import Limits, most_memory
    from edgekit.planning import Request
    from edgekit.routes import check_names
    from edgekit.source import open_source, parse_input

    check_names(options["formats"], options["precisions"])
    opened = open_source(
        source,
        weights=options.pop("weights"),
        inputs=tuple(parse_input(text) for text in options.pop("inputs")),
        trusted=options.pop("trust"),
        signature=options.pop("signature"),
    )
    limits = Limits(timeout_s=options.pop("timeout"), memory=options.pop("memory_limit") or most_memory())
    images = take_images(options)
    options.setdefault("out", Path())
    return Request(source=opened, limits=limits, images=images, use_cache=use_cache, **options)
