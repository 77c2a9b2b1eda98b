"""The preprocessing of image files as the user says it: on the command line, or in `[images]` of edgekit.toml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.errors import UsageError
from edgekit.images import Images
from edgekit.project_file import PROJECT_FILE, read_toml

TABLE: Final = "images"
_SIZE: Final = 2
_CHANNELS: Final = 3


def read_images(given: Mapping[str, Any], folder: Path | None = None) -> Images:
    """What was given, on top of what `[images]` of the project's file says.

    Args:
        given: Values by the names of `Images`; None for what was not given.
        folder: Where the project's file is; the working directory when None.

    Raises:
        UsageError: A key or a value is wrong.
    """
    file = (folder or Path()) / PROJECT_FILE
    table = read_toml(file).get(TABLE, {}) if file.is_file() else {}
    if not isinstance(table, dict):
        raise UsageError(f"[{TABLE}] of {file} is not a table.")
    if isinstance(table.get("size"), str):
        table["size"] = parse_size(table["size"])
    chosen = table | {key: value for key, value in given.items() if value not in (None, (), "")}
    try:
        images = msgspec.convert(chosen, Images)
    except msgspec.ValidationError as error:
        raise UsageError(f"The preprocessing of images is wrong: {error}.", hint=f"See [{TABLE}] in {file}.") from None
    _check(images)
    return images


def parse_size(text: str) -> tuple[int, ...]:
    """Read `96x128`, height first as in the model's shape; one number is a square.

    Raises:
        UsageError: It is no size.
    """
    words = text.lower().split("x")
    if len(words) > _SIZE or not all(word.isdecimal() and int(word) for word in words):
        raise UsageError(f"{text!r} is no image size.", hint="Write HEIGHTxWIDTH: --image-size 96x96")
    sizes = tuple(int(word) for word in words)
    return sizes if len(sizes) == _SIZE else sizes * _SIZE


def _check(images: Images) -> None:
    if images.size and (len(images.size) != _SIZE or min(images.size) < 1):
        raise UsageError(f"{images.size} is no image size.", hint="Height and width: size = [96, 96]")
    for name, values in (("mean", images.mean), ("std", images.std)):
        if len(values) not in {0, 1, _CHANNELS}:
            raise UsageError(f"--{name} has {len(values)} numbers.", hint="One for all channels, or one a channel.")
    if any(value <= 0 for value in images.std):
        raise UsageError("--std holds a number that is not positive.")
    if images.range == 1 and any(value > 1 for value in (*images.mean, *images.std)):
        raise UsageError(
            "--mean and --std are in units of 0 to 255, and pixels go from 0 to 1.",
            hint="Say --image-range 255, or divide them by 255.",
        )
