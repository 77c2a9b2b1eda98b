"""Calibration and evaluation sets: `.npz` (an array for each input, first axis the sample), `.npy`, or a folder.

In a folder every `.npy` or `.npz` is one sample, in the order of their names. Samples are handed out one by one, and
arrays are mapped, not read: a set may be larger than memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from edgekit.arrays import open_arrays
from edgekit.errors import UsageError
from edgekit.fingerprint import hash_path
from edgekit.model import Signature, TensorSpec
from edgekit.plan import DataRef
from edgekit.protocols import Array
from edgekit.suggest import did_you_mean

_LABELS: Final = ("labels", "label", "targets", "y")
"""The array of an `.npz` that holds the classes, by the names people give it."""


_KINDS: Final = {"f": "real", "i": "integer", "u": "integer", "b": "truth"}
"""NumPy's dtype kinds that stand for one another; integers for reals would hide a forgotten preprocessing."""


class DataSet:
    """A set of samples on disk.

    Args:
        path: An `.npz`, an `.npy`, or a folder of them.
        what: What it is called in messages: `calibration`, `evaluation`.

    Raises:
        UsageError: It is missing, damaged, empty, holds objects, or its arrays differ in length.
    """

    def __init__(self, path: Path | str, *, what: str) -> None:
        self.path = Path(path)
        self._what = what
        if not self.path.exists():
            raise UsageError(f"There is no {what} data at {self.path}.")
        self._files = _sample_files(self.path) if self.path.is_dir() else ()
        arrays = {} if self._files else open_arrays(self.path)
        found = next((key for key in _LABELS if key in arrays), None)
        self.labels: Array | None = arrays.pop(found) if found else None
        self._arrays = arrays
        self._check()

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._files) or len(next(iter(self._arrays.values()), ()))

    @cached_property
    def ref(self) -> DataRef:
        """The set by name and content."""
        return DataRef(name=self.path.name, sha256=hash_path(self.path), samples=len(self))

    def _check(self) -> None:
        if not self._files and not self._arrays:
            raise UsageError(f"{self.path} has labels but no inputs.")
        if len(self) == 0:
            raise UsageError(f"{self.path} holds no {self._what} samples.")
        lengths = {key: len(value) for key, value in self._arrays.items()}
        if self.labels is not None:
            lengths["labels"] = len(self.labels)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {count}" for key, count in lengths.items())
            raise UsageError(f"The arrays of {self.path} differ in length: {told}.")

    def specs(self) -> tuple[TensorSpec, ...]:
        """The inputs that the first sample would fit, one sample a batch; a single unnamed input has no name."""
        first = self._raw(0)
        names = {key: "" if len(first) == 1 else key for key in first}
        return tuple(
            TensorSpec(
                name=names[key],
                shape=(1, *value.shape),
                dtype="float32" if value.dtype.kind == "f" else str(value.dtype),
            )
            for key, value in first.items()
        )

    def check(self, signature: Signature) -> None:
        """Compare every sample with the signature, before work that takes long.

        Raises:
            UsageError: A name, shape or dtype differs, or a value is not finite.
        """
        for place in range(len(self)):
            self.sample(place, signature)

    def samples(self, signature: Signature, places: Sequence[int] | None = None) -> Iterator[dict[str, Array]]:
        """Samples shaped as the signature says, by input name; all of them, or those at `places`."""
        for place in range(len(self)) if places is None else places:
            yield self.sample(place, signature)

    def sample(self, place: int, signature: Signature) -> dict[str, Array]:
        """One sample, its batch axis added."""
        raw = self._raw(place)
        names = [spec.name for spec in signature.inputs]
        if len(raw) == 1 and len(names) == 1:
            raw = {names[0]: next(iter(raw.values()))}
        for name in names:
            if name not in raw:
                hint = did_you_mean(name, raw, "arrays")
                raise UsageError(f"{self.path} has no array for input {name!r}.", hint=hint)
        extra = sorted(set(raw) - set(names))
        if extra:
            hint = did_you_mean(extra[0], names, "inputs")
            raise UsageError(f"{self.path} has {extra[0]!r}, which is no input of the model.", hint=hint)
        return {spec.name: self._shaped(raw[spec.name], spec, place) for spec in signature.inputs}

    def _raw(self, place: int) -> Mapping[str, Array]:
        if self._files:
            return open_arrays(self._files[place])
        return {key: value[place] for key, value in self._arrays.items()}

    def _shaped(self, value: Array, spec: TensorSpec, place: int) -> Array:
        wanted = tuple(int(dim) for dim in spec.shape)
        if wanted not in {value.shape, (1, *value.shape)}:
            sample = _shape(wanted[1:] if wanted[:1] == (1,) else wanted)
            raise UsageError(
                f"{self.path}: a sample of {spec.name!r} has shape {_shape(value.shape)}, the model wants {sample}.",
                hint="The first axis counts samples; the rest is the model's input without its batch axis.",
            )
        if _KINDS.get(value.dtype.kind) != _KINDS[np.dtype(spec.real_dtype).kind]:
            raise UsageError(
                f"{self.path}: {spec.name!r} holds {value.dtype}, the model wants {spec.real_dtype}.",
                hint="Store it as the model sees it, after your own preprocessing (scaling, normalization).",
            )
        if value.dtype.kind == "f" and not np.isfinite(cast("Any", value)).all():
            raise UsageError(f"{self.path}: sample {place} of {spec.name!r} holds NaN or infinity.")
        return np.array(value.reshape(wanted), spec.real_dtype, order="C")


def _sample_files(folder: Path) -> tuple[Path, ...]:
    files = tuple(sorted(path for path in folder.iterdir() if path.suffix in {".npy", ".npz"}))
    if not files:
        raise UsageError(
            f"{folder} holds no .npy or .npz samples.",
            hint="Store each sample as an array, preprocessed as the model sees it (images too).",
        )
    return files


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
