"""Samples that a Python function of the user's yields: `file.py:function`. Naming your own file is the trust.

The function is called for each pass, and must yield the same samples each time; they are never all in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.errors import UsageError
from edgekit.model import TensorSpec
from edgekit.protocols import Array
from edgekit.samples import LABELS, as_labels, label_of
from edgekit.suggest import did_you_mean
from edgekit.user_code import import_file

_MOST: Final = 100_000
"""Samples of a function that is taken to end: more than ImageNet's evaluation set."""

_DIGEST_BYTES: Final = 8

_AGAIN: Final = "It is called for each pass: seed its random numbers, and shuffle nothing."


class Generated:
    """The samples that a function yields: arrays, or dicts of arrays by input name (with a label, where there is one).

    How many there are, and their labels, is known after the first whole pass.
    """

    def __init__(self, file: Path, function: str) -> None:
        if not file.is_file():
            raise UsageError(f"There is no file {file}.")
        self._file = file
        self._function = function
        self._digests: list[bytes] = []
        self._labels: list[Any] = []
        self._known = False

    def labels(self) -> "Array | None":
        """Those of the first pass."""
        return as_labels(self._labels) if self._labels else None

    def __len__(self) -> int:
        """Those of the first pass."""
        return len(self._digests) if self._known else 0

    @property
    def sha256(self) -> str:
        """The hash of all samples of the first pass."""
        return hashlib.sha256(b"".join(self._digests)).hexdigest()

    def raw(self, places: Sequence[int] | None, inputs: Sequence[TensorSpec]) -> Iterator[Mapping[str, Array]]:  # noqa: ARG002 - the protocol's
        """A pass; the first whole one is remembered, and later ones must be like it.

        Raises:
            UsageError: The function fails, never ends, yields something else, or something else than before.
        """
        count = 0
        for sample in self._yielded():
            arrays, label = _arrays(sample, self._name)
            self._compare(count, arrays, label)
            if places is None or count in places:
                yield arrays
            if places is not None and count >= max(places):
                return
            count += 1
        if count < len(self._digests):
            raise UsageError(f"{self._name} yields fewer samples than before.", hint=_AGAIN)
        self._known = True

    def _compare(self, place: int, arrays: Mapping[str, Array], label: Any) -> None:
        digest = _digest(arrays, label)
        if place < len(self._digests):
            if self._digests[place] != digest:
                raise UsageError(
                    f"{self._name} yields another sample {place} than before.",
                    hint=_AGAIN,
                )
            return
        if self._known:
            raise UsageError(f"{self._name} yields more samples than before.", hint=_AGAIN)
        if place >= _MOST:
            raise UsageError(f"{self._name} has yielded {_MOST:,} samples and has not ended.", hint="Let it end.")
        if place and (label is not None) != bool(self._labels):
            raise UsageError(f"{self._name} yields a label with some samples and not with others.")
        self._digests.append(digest)
        if label is not None:
            self._labels.append(label)

    @property
    def _name(self) -> str:
        return f"{self._file.name}:{self._function}"

    def _yielded(self) -> Iterator[Any]:
        try:
            yield from self._called()
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{self._name} failed: {type(error).__name__}: {error}.") from error

    def _called(self) -> Iterable[Any]:
        code = import_file(self._file)
        function = getattr(code, self._function, None)
        if not callable(function):
            known = [name for name, value in vars(code).items() if callable(value) and not name.startswith("_")]
            hint = did_you_mean(self._function, known, "functions")
            raise UsageError(f"{self._file.name} has no function {self._function!r}.", hint=hint)
        given = function()
        if not isinstance(given, Iterable):
            raise UsageError(
                f"{self._name} gives {type(given).__name__}, nothing to go through.", hint="Let it yield samples."
            )
        return given


def _arrays(sample: Any, name: str) -> tuple[dict[str, Array], Any]:
    """A sample's arrays by name, and its label."""
    items = sample if isinstance(sample, Mapping) else {"": sample}
    arrays = {str(key): np.asarray(value) for key, value in items.items()}
    wrong = next((key for key, value in arrays.items() if value.dtype.kind not in "fiub"), None)
    if wrong is not None or not arrays:
        raise UsageError(
            f"{name} yields {type(sample).__name__}, which holds no numbers.",
            hint="Let it yield an array, or a dict of arrays by input name (and 'label'); no batches.",
        )
    label = label_of(arrays)
    return {key: value for key, value in arrays.items() if key not in LABELS}, label


def _digest(arrays: Mapping[str, Array], label: Any) -> bytes:
    found = hashlib.blake2b(repr(label).encode(), digest_size=_DIGEST_BYTES)
    for key, value in sorted(arrays.items()):
        found.update(f"\0{key}\0{value.dtype}{value.shape}\0".encode())
        found.update(np.ascontiguousarray(value).data)
    return found.digest()
