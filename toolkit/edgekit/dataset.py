"""Calibration and evaluation sets, fitted to a model: `edgekit.samples` says where samples come from.

They are handed out one by one: a set may be larger than memory.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np

from edgekit.errors import UsageError
from edgekit.images import Images
from edgekit.layout import given_as, turn
from edgekit.model import Signature, TensorSpec
from edgekit.plan import DataRef
from edgekit.protocols import Array
from edgekit.samples import Raw, open_samples
from edgekit.suggest import did_you_mean
from edgekit.user_code import split_function

_KINDS: Final = {"f": "real", "i": "integer", "u": "integer", "b": "truth"}
"""NumPy's dtype kinds that stand for one another; integers for reals would hide a forgotten preprocessing."""


class DataSet:
    """A set of samples, for a model of some signature.

    Args:
        path: An `.npz`, an `.npy`, a folder of them or of images, or `file.py:function`.
        what: What it is called in messages: `calibration`, `evaluation`.
        images: How image files become inputs.
        layout: What the model's tensors of four dimensions were turned into (`NHWC`), so that samples, which are as the
            source takes them, are turned too; empty for nothing.

    Raises:
        UsageError: It is missing, damaged, empty, holds objects, or its arrays differ in length.
    """

    def __init__(self, path: Path | str, *, what: str, images: Images | None = None, layout: str = "") -> None:
        self.path = Path(path)
        self._what = what
        self._layout = layout
        file, function = split_function(str(path))
        if not Path(file).exists():
            raise UsageError(f"There is no {what} data at {file}.")
        self.generated = bool(function)
        self._samples = open_samples(str(path), images or Images())
        if not self.generated and len(self) == 0:
            raise self._empty()

    def _empty(self) -> UsageError:
        return UsageError(f"{self.path} holds no {self._what} samples.")

    @property
    def labels(self) -> "Array | None":
        """The class of each sample, where there are any; of a function after `check` alone."""
        return self._samples.labels()

    def __len__(self) -> int:
        """The number of samples; of a function after `check` alone."""
        return len(self._samples)

    def counted(self, ref: DataRef) -> DataRef:
        """The same reference with the number of samples, and the hash of those that a function yielded."""
        from edgekit.generated import Generated

        made = self._samples.sha256 if isinstance(self._samples, Generated) and len(self) else ref.sha256
        return msgspec.structs.replace(ref, samples=len(self), sha256=made)

    def specs(self) -> tuple[TensorSpec, ...]:
        """The inputs that the first sample would fit, one sample a batch; a single unnamed input has no name."""
        first = next(self._samples.raw([0], ()), None)
        if first is None:
            raise self._empty()
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
        for _ in self.samples(signature):
            pass
        if len(self) == 0:
            raise self._empty()

    def samples(self, signature: Signature, places: Sequence[int] | None = None) -> Iterator[dict[str, Array]]:
        """Samples shaped as the signature says, by input name; all of them, or those at `places`, in rising order."""
        given = [given_as(spec, self._layout) for spec in signature.inputs]
        for number, raw in enumerate(self._samples.raw(places, given)):
            fitted = self._fitted(raw, given, number if places is None else places[number])
            yield {spec.name: turn(fitted[spec.name], spec, self._layout) for spec in signature.inputs}

    def sample(self, place: int, signature: Signature) -> dict[str, Array]:
        """One sample, its batch axis added."""
        return next(self.samples(signature, [place]))

    def _fitted(self, raw: Raw, inputs: Sequence[TensorSpec], place: int) -> dict[str, Array]:
        names = [spec.name for spec in inputs]
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
        return {spec.name: self._shaped(raw[spec.name], spec, place) for spec in inputs}

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


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
