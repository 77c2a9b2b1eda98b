"""A folder of image files as samples, preprocessed as `edgekit.images` says; labels by subfolder or `labels.csv`.

Files come from anywhere. Only formats whose decoders are plain are opened, a size is believed before pixels are
decoded, and what is no whole image is refused by name.
"""

import csv
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgekit.errors import UsageError
from edgekit.images import SUFFIXES, Images, visible_files
from edgekit.model import TensorSpec
from edgekit.protocols import Array

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "TIFF")
"""Of Pillow's: no documents, no formats that call other programs (EPS calls Ghostscript)."""

_LABELS: Final = "labels.csv"
_MOST_PIXELS: Final = 100_000_000
"""The largest image: a camera's have half as many, and it takes 400 MB while it is resized."""

_PLAIN: Final = {1: "GRAY", 3: "RGB"}
_RANKS: Final = {3, 4}


class ImageFolder:
    """The images of a folder in the order of their names, and of its subfolders, whose names are the classes."""

    def __init__(self, folder: Path, images: Images) -> None:
        _need_pillow(folder)
        self._folder = folder
        self._images = images
        self._files = tuple(sorted(path for path in visible_files(folder) if path.name != _LABELS))
        for path in self._files:
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                raise UsageError(
                    f"{path} is no image that edgekit reads.",
                    hint=f"Move it away; a folder of images holds {', '.join(SUFFIXES)}, and {_LABELS}.",
                )

    def labels(self) -> "Array | None":
        """The class of each image: by `labels.csv`, else the place of its subfolder among them, sorted by name."""
        table = self._folder / _LABELS
        if table.exists():
            return self._listed(table)
        names = [path.relative_to(self._folder).parts[0] for path in self._files if path.parent != self._folder]
        if not names:
            return None
        if len(names) < len(self._files):
            lone = next(path for path in self._files if path.parent == self._folder)
            raise UsageError(
                f"{lone} lies in no class, and other images do.", hint="Move it into a class's folder, or away."
            )
        return _numbered(names)

    def _listed(self, table: Path) -> Array:
        """The classes of a table with lines `file,class`; a header is known by naming no file."""
        try:
            with table.open(encoding="utf-8", newline="") as stream:
                rows = {row[0].strip(): row[1].strip() for row in csv.reader(stream) if len(row) > 1}
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"Cannot read {table}: {error}.") from None
        names = [path.relative_to(self._folder).as_posix() for path in self._files]
        missing = [name for name in names if name not in rows]
        if missing:
            raise UsageError(f"{table} has no line for {missing[0]}.", hint="A line is a file's name and its class.")
        return _numbered([rows[name] for name in names])

    def __len__(self) -> int:
        """The number of images."""
        return len(self._files)

    def raw(self, places: Sequence[int] | None, inputs: Sequence[TensorSpec]) -> Iterator[dict[str, Array]]:
        """Each image as the one input that the model has; without one, as the settings say."""
        if len(inputs) > 1:
            raise UsageError(
                f"The model has {len(inputs)} inputs; a folder of images feeds one.",
                hint="Give arrays, or a function that yields a dict: --calibration data.py:samples",
            )
        shaped = _Shaped(self._images, inputs[0] if inputs else None)
        for place in range(len(self)) if places is None else places:
            yield {shaped.name: shaped.array(self._files[place])}


class _Shaped:
    """Turns image files into arrays of one shape: that of the model's input."""

    def __init__(self, images: Images, spec: TensorSpec | None) -> None:
        self.name = spec.name if spec else ""
        self._images = images
        self._dtype = np.dtype(spec.dtype if spec else "float32")
        sizes = tuple(int(dim) for dim in spec.shape) if spec else ()
        if spec is not None and len(sizes) not in _RANKS:
            raise UsageError(
                f"Input {spec.name!r} has shape {'x'.join(map(str, sizes))}, which is no image's.",
                hint="Give arrays: .npz or .npy.",
            )
        self._layout, self._size, self._order = _as_model_wants(images, sizes[-3:], spec.layout if spec else "")
        if self._dtype.kind != "f" and (images.mean or images.std):
            raise UsageError(f"The model takes {self._dtype}: pixels as they are, without --mean and --std.")

    def array(self, path: Path) -> Array:
        """One image."""
        pixels = np.asarray(_decoded(path, self._size, self._order, self._images.fit))
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels  # noqa: PLR2004 - gray has no channel axis
        pixels = pixels[:, :, ::-1] if self._order == "BGR" else pixels
        if self._dtype.kind == "f":
            real = pixels.astype(np.float32) / np.float32(255 if self._images.range == 1 else 1)
            real = real - np.asarray(self._images.mean or 0, np.float32)
            pixels = (real / np.asarray(self._images.std or 1, np.float32)).astype(self._dtype)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1) if self._layout == "NCHW" else pixels)


def _as_model_wants(images: Images, sizes: tuple[int, ...], known: str) -> tuple[str, tuple[int, int], str]:
    """Layout, height and width, and channel order, from the settings and the input's last three sizes.

    Raises:
        UsageError: They contradict one another, or do not say enough.
    """
    layout = images.layout or known or _layout_of(sizes)
    if not sizes:
        if not images.size:
            raise UsageError("The size of the images is not known.", hint="Give it: --image-size 224x224")
        return layout, (images.size[0], images.size[1]), images.channels or "RGB"
    channels, height, width = sizes if layout == "NCHW" else (sizes[2], sizes[0], sizes[1])
    if channels not in _PLAIN:
        raise UsageError(
            f"In {layout} the model's input has {channels} channels; images have 1 or 3.",
            hint=f"Say --image-layout {'NHWC' if layout == 'NCHW' else 'NCHW'}, or give arrays.",
        )
    if images.size and images.size != (height, width):
        raise UsageError(
            f"--image-size is {images.size[0]}x{images.size[1]}, and the model takes {height}x{width}.",
            hint="Leave it out: the model's own size is taken.",
        )
    order = images.channels or _PLAIN[channels]
    if (order == "GRAY") != (channels == 1):
        raise UsageError(f"--image-channels is {order}, and the model takes {channels} channels.")
    return layout, (height, width), order


def _layout_of(sizes: tuple[int, ...]) -> str:
    """By where 1 or 3 channels are; PyTorch's own where there is no model to ask."""
    if not sizes:
        return "NCHW"
    first, last = sizes[0] in _PLAIN, sizes[2] in _PLAIN
    if first == last:
        raise UsageError(
            f"An input of {'x'.join(map(str, sizes))} does not tell where its channels are.",
            hint="Say --image-layout NCHW or NHWC.",
        )
    return "NCHW" if first else "NHWC"


def _decoded(path: Path, size: tuple[int, int], order: str, fit: str) -> "Image":
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large image is no warning: its size is judged below
        try:
            with Image.open(path, formats=_FORMATS) as image:
                _check_claim(path, image)
                plain = image.convert("L" if order == "GRAY" else "RGB")
        except UsageError:
            raise
        except Image.DecompressionBombError:
            raise _too_large(path) from None
        except Exception as error:  # noqa: BLE001 - decoders raise whatever a broken file makes them raise
            reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
            raise UsageError(
                f"{path} is not a whole image: {reason}.", hint="Move it away, or save it again."
            ) from None
    wide = (size[1], size[0])
    bilinear = Image.Resampling.BILINEAR
    return ImageOps.fit(plain, wide, bilinear) if fit == "crop" else plain.resize(wide, bilinear)


def _check_claim(path: Path, image: Any) -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise _too_large(path)
    if image.mode.startswith(("I", "F")):
        raise UsageError(
            f"{path} has more than 8 bits a pixel ({image.mode}), which would be cut off.",
            hint="Store it as an array: .npy, preprocessed as the model sees it.",
        )


def _too_large(path: Path) -> UsageError:
    return UsageError(f"{path} claims more pixels than {_MOST_PIXELS / 1e6:.0f} million.", hint="Make it smaller.")


def _numbered(names: Sequence[str]) -> Array:
    """Classes that are numbers as such; others by their place in alphabetical order, as torchvision and Keras do."""
    if all(name.isdecimal() for name in names):
        return np.asarray([int(name) for name in names])
    place = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.asarray([place[name] for name in names])


def _need_pillow(folder: Path) -> None:
    from importlib.util import find_spec

    if find_spec("PIL") is None:
        raise UsageError(
            f"{folder} holds images, and Pillow, which reads them, is not installed.", hint="pip install pillow"
        )
