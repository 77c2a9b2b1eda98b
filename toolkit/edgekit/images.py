"""Folders of image files as data: which files are images, and how they become a model's input.

Pixels are decoded, resized with antialiasing (bilinear, as torchvision does), brought to 0..1 or 0..255, and
normalized: (pixel - mean) / std by channel.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The image files that are read."""


class Images(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The preprocessing of image files.

    Attributes:
        size: Height and width in pixels; the model's own when empty.
        mean: Subtracted by channel, in the unit of `range`; one number or one a channel.
        std: Divided by, in the same way.
        range: The value that full brightness has before `mean` and `std`.
        channels: The order of color channels; by the model's number of channels when empty (RGB or GRAY).
        layout: Where the channels are; by the model's shape when empty.
        fit: `stretch` changes the aspect ratio; `crop` keeps it and cuts the middle out.
    """

    size: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    range: Literal[1, 255] = 1
    channels: Literal["", "RGB", "BGR", "GRAY"] = ""
    layout: Literal["", "NCHW", "NHWC"] = ""
    fit: Literal["stretch", "crop"] = "stretch"


def holds_images(folder: Path) -> bool:
    """Whether there is an image in it, or in a folder of it."""
    return any(path.suffix.lower() in SUFFIXES for path in visible_files(folder))


def visible_files(folder: Path) -> Iterator[Path]:
    """Everything but folders and hidden files; links to folders are not followed, so that a circle ends."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in names if not name.startswith("."))
