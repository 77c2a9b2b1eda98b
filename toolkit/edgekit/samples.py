"""Samples as they lie on disk: arrays in one file, or a file a sample. `open_samples` knows every kind."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from edgekit.arrays import open_arrays
from edgekit.errors import UsageError
from edgekit.images import Images, holds_images
from edgekit.model import TensorSpec
from edgekit.protocols import Array
from edgekit.user_code import split_function

LABELS: Final = ("labels", "label", "targets", "y")
"""The array that holds the classes, by the names people give it."""

Raw = Mapping[str, Array]
"""One sample as it is stored: arrays by name."""


class Samples(Protocol):
    """A set of samples. It may be larger than memory."""

    def labels(self) -> "Array | None":
        """The class of each sample, where there are any; what is read in one go knows them after the first pass."""

    def __len__(self) -> int:
        """How many; 0 where that is known after the first pass alone."""

    def raw(self, places: Sequence[int] | None, inputs: Sequence[TensorSpec]) -> Iterator[Raw]:
        """The samples, or those at these places in order, for a model with these inputs.

        Raises:
            UsageError: One cannot be read, or has no place in the model.
        """


def open_samples(text: str, images: Images) -> Samples:
    """Open a set: `.npz`, `.npy`, a folder of such files or of images, or `file.py:function`.

    Raises:
        UsageError: It is missing, damaged, empty, or of no such kind.
    """
    file, function = split_function(text)
    path = Path(file)
    if function:
        from edgekit.generated import Generated

        return Generated(path, function)
    if not path.is_dir():
        return ArrayFile(path)
    if not holds_images(path):
        return SampleFolder(path)
    from edgekit.image_folder import ImageFolder

    return ImageFolder(path, images)


class ArrayFile:
    """An array for each input, first axis the sample, mapped and not read."""

    def __init__(self, path: Path) -> None:
        self._arrays = open_arrays(path)
        found = next((key for key in LABELS if key in self._arrays), None)
        self._labels: Array | None = self._arrays.pop(found) if found else None
        if not self._arrays:
            raise UsageError(f"{path} has labels but no inputs.")
        lengths = {key: len(value) for key, value in self._arrays.items()}
        if self._labels is not None:
            lengths["labels"] = len(self._labels)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {count}" for key, count in lengths.items())
            raise UsageError(f"The arrays of {path} differ in length: {told}.")

    def labels(self) -> "Array | None":
        """The array of that name."""
        return self._labels

    def __len__(self) -> int:
        """The first axis."""
        return len(next(iter(self._arrays.values())))

    def raw(self, places: Sequence[int] | None, inputs: Sequence[TensorSpec]) -> Iterator[Raw]:  # noqa: ARG002 - the protocol's
        """Views into the file."""
        for place in range(len(self)) if places is None else places:
            yield {key: value[place] for key, value in self._arrays.items()}


class SampleFolder:
    """Every `.npy` or `.npz` is one sample, in the order of their names; its label is one of its arrays."""

    def __init__(self, path: Path) -> None:
        self._files = tuple(sorted(item for item in path.iterdir() if item.suffix in {".npy", ".npz"}))
        if not self._files:
            raise UsageError(
                f"{path} holds no .npy or .npz samples, and no images.",
                hint="Store each sample as an array, preprocessed as the model sees it, or give image files.",
            )

    def labels(self) -> "Array | None":
        """One of each file, or none at all."""
        found = [(file, label_of(open_arrays(file))) for file in self._files]
        without = [file for file, label in found if label is None]
        if len(without) == len(found):
            return None
        if without:
            raise UsageError(f"{without[0]} has no label, and others have.", hint=f"Call it {LABELS[0]!r}.")
        return as_labels([label for _, label in found])

    def __len__(self) -> int:
        """The number of files."""
        return len(self._files)

    def raw(self, places: Sequence[int] | None, inputs: Sequence[TensorSpec]) -> Iterator[Raw]:  # noqa: ARG002 - the protocol's
        """A file after the other."""
        for place in range(len(self)) if places is None else places:
            yield {key: value for key, value in open_arrays(self._files[place]).items() if key not in LABELS}


def label_of(sample: Mapping[str, Any]) -> Any:
    """A sample's own label; None without one."""
    found = next((sample[key] for key in LABELS if key in sample), None)
    return None if found is None else found.reshape(-1)[0] if hasattr(found, "reshape") else found


def as_labels(values: Sequence[Any]) -> Array:
    """Classes as an array."""
    import numpy as np

    return np.asarray(values)
