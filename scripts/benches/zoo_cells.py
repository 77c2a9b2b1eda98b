"""A cell of the zoo's matrix: one model in one format and precision, what came of it, and whether it counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from edgekit.plan import MAX_ERROR

EQUAL_DB: Final = 300.0
"""What stands for outputs that are equal."""

DROP_POINTS: Final = 1.0
"""The accuracy that a reduced precision may lose, in points, where its SQNR is under the bar and there are labels."""


class Model(Protocol):
    """A model of the zoo, or of a folder outside the repository."""

    @property
    def name(self) -> str:
        """What it is called in the matrix."""

    @property
    def labels(self) -> bool:
        """Whether `test.npz` holds labels."""

    def words(self, folder: Path) -> list[str]:
        """SOURCE with its options."""

    def write(self, folder: Path) -> None:
        """Write its files, `samples.npz` among them, unless they are there."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one conversion.

    Attributes:
        made: Whether there is a file.
        sqnr_db: The worst output's; `EQUAL_DB` where all are equal to the source's, None where it is not a number.
        drop_points: What accuracy it lost, in points; None without labels.
        size: The file's bytes.
        seconds: What it took, beyond what loading took.
        reason: Why there is none.
    """

    made: bool
    sqnr_db: float | None = None
    drop_points: float | None = None
    size: int = 0
    seconds: float = 0.0
    reason: str = ""

    def good(self, precision: str) -> bool:
        """Whether it has parity with its source."""
        if not self.made or self.sqnr_db is None:
            return False
        kept = precision != "fp32" and self.drop_points is not None and self.drop_points <= DROP_POINTS
        return self.sqnr_db >= bar_db(precision) or kept

    def why(self, precision: str) -> str:
        """What keeps it from being good."""
        if not self.made:
            return self.reason
        reached = "no number" if self.sqnr_db is None else f"{self.sqnr_db:.0f} dB"
        return f"{reached}, under {bar_db(precision):.0f}"


def bar_db(precision: str) -> float:
    """The SQNR that counts as parity: 80 dB for fp32, 20 for 8 bits (see `edgekit.plan.MAX_ERROR`)."""
    return -20 * float(np.log10(dict[Any, float](MAX_ERROR)[precision]))


def worst_db(outputs: Sequence[Mapping[str, Any]]) -> float | None:
    """The worst SQNR of a manifest's outputs; None when one is not a number."""
    found = [_db(item) for item in outputs]
    return None if None in found else min((value for value in found if value is not None), default=None)


def _db(output: Mapping[str, Any]) -> float | None:
    if output["relative_rms"] is None:  # JSON has no NaN
        return None
    return EQUAL_DB if output["sqnr_db"] is None else float(output["sqnr_db"])


Cells = dict[str, Cell]
"""By format and precision, `tflite int8`."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of one model as they are kept between runs; `stamp` says of what version of the code they are."""

    stamp: str
    cells: Cells


def recall(file: Path, stamp: str) -> Cells:
    """The cells that a run before left, when it was of the same stamp, or any where the stamp is empty."""
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return {}
    return kept.cells if stamp in {"", kept.stamp} else {}


def remember(file: Path, stamp: str, cells: Cells) -> None:
    """Keep them for a run that goes on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(Kept(stamp=stamp, cells=cells)), indent=1))
    new.replace(file)
