"""scikit-learn's digits (1,797 labelled 8x8 images), split once for both frameworks."""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED: Final = 20
HELD_OUT: Final = 0.25
CALIBRATION_SAMPLES: Final = 200

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


class Digits(NamedTuple):
    """Images (N, 8, 8) with values 0 to 1 and their labels, for training and held out."""

    train: Images
    train_labels: Labels
    test: Images
    test_labels: Labels


def load() -> Digits:
    """The digits, split with the same share of every class."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        (images.reshape(-1, 8, 8) / 16).astype(np.float32),
        labels.astype(np.int64),
        test_size=HELD_OUT,
        stratify=labels,
        random_state=SEED,
    )
    return Digits(train, train_labels, test, test_labels)


def write_sets(out: Path, framework: str, digits: Digits, channel_axis: int) -> None:
    """Write `calibration_FRAMEWORK.npz` and `eval_FRAMEWORK.npz`; `channel_axis` is 1 for NCHW, 3 for NHWC."""
    calibration = np.expand_dims(digits.train[:CALIBRATION_SAMPLES], channel_axis)
    np.savez(out / f"calibration_{framework}.npz", image=calibration)
    test = np.expand_dims(digits.test, channel_axis)
    np.savez(out / f"eval_{framework}.npz", image=test, labels=digits.test_labels)
