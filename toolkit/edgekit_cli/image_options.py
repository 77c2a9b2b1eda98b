"""The options that say how image files become a model's input; `[images]` of edgekit.toml has the same by key."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from click import Context, Parameter

    from edgekit.images import Images

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers separated by commas."""

    name = "numbers"

    def convert(self, value: Any, param: "Parameter | None", ctx: "Context | None") -> tuple[float, ...]:
        """Read them."""
        try:
            return tuple(float(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers; write 0.485,0.456,0.406.", param, ctx)


_OPTIONS: Final = (
    click.option("--image-size", default="", metavar="HxW", help="Of image files. Default: the model's own."),
    click.option("--mean", type=_Numbers(), help="Subtracted from pixels, by channel: 0.485,0.456,0.406."),
    click.option("--std", type=_Numbers(), help="Then divided by, by channel: 0.229,0.224,0.225."),
    click.option("--image-range", type=click.Choice(["1", "255"]), help="Full brightness, before --mean. Default: 1."),
    click.option("--image-channels", type=click.Choice(["RGB", "BGR", "GRAY"]), help="Default: by the model."),
    click.option("--image-layout", type=click.Choice(["NCHW", "NHWC"]), help="Default: by the model."),
    click.option("--image-fit", type=click.Choice(["stretch", "crop"]), help="How shape changes. Default: stretch."),
)

_KEYS: Final = {
    "size": "image_size", "mean": "mean", "std": "std", "range": "image_range", "channels": "image_channels",
    "layout": "image_layout", "fit": "image_fit",
}  # fmt: skip
"""The fields of `Images` by the options' names."""


def IMAGES(command: _Command) -> _Command:  # noqa: N802 - a shared option, as those of `edgekit_cli.options`
    """Add the options; `take_images` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_images(options: dict[str, Any]) -> "Images":
    """The preprocessing that the options and the project's file ask for; the options are taken out.

    Raises:
        UsageError: A value is wrong.
    """
    from edgekit.image_settings import parse_size, read_images

    given = {field: options.pop(key) for field, key in _KEYS.items()}
    given["size"] = parse_size(given["size"]) if given["size"] else ()
    given["range"] = int(given["range"]) if given["range"] else None
    return read_images(given)
