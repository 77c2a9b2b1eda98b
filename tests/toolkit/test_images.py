"""Folders of images become inputs as the settings say; what is no whole, sane image is refused by name."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.dataset import DataSet
from edgekit.errors import UsageError
from edgekit.image_settings import read_images
from edgekit.images import Images
from edgekit.model import Signature, TensorSpec


def _signature(*shape: int, dtype: str = "float32") -> Signature:
    return Signature(inputs=(TensorSpec(name="image", shape=shape, dtype=dtype),), outputs=())


NCHW = _signature(1, 3, 4, 6)
NHWC = _signature(1, 4, 6, 3)


def _save(path: Path, color: tuple[int, ...] = (255, 0, 51), size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def _one(folder: Path, signature: Signature, **settings: Any) -> Any:
    return DataSet(folder, what="calibration", images=Images(**settings)).sample(0, signature)["image"]


def test_pixels_are_scaled_normalized_and_laid_out_as_the_model_takes_them(tmp_path: Path) -> None:
    """0 to 1, minus mean, over std; channels where the model's shape has them."""
    _save(tmp_path / "a.png")
    assert _one(tmp_path, NCHW).shape == (1, 3, 4, 6)
    assert _one(tmp_path, NCHW)[0, :, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    assert _one(tmp_path, NHWC)[0, 0, 0].tolist() == pytest.approx([1, 0, 0.2])
    found = _one(tmp_path, NHWC, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.25))
    assert found[0, 0, 0].tolist() == pytest.approx([1, -1, -1.2])
    assert _one(tmp_path, NHWC, range=255, channels="BGR")[0, 0, 0].tolist() == [51, 0, 255]


def test_integer_inputs_get_pixels_as_they_are(tmp_path: Path) -> None:
    """A model that takes uint8 normalizes itself."""
    _save(tmp_path / "a.png")
    assert _one(tmp_path, _signature(1, 4, 6, 3, dtype="uint8"))[0, 0, 0].tolist() == [255, 0, 51]
    with pytest.raises(UsageError, match="takes uint8"):
        _one(tmp_path, _signature(1, 4, 6, 3, dtype="uint8"), mean=(0.5,))


def test_images_of_any_size_are_resized(tmp_path: Path) -> None:
    """Stretched, or cut to the middle."""
    picture = np.zeros((40, 160, 3), np.uint8)
    picture[:, 50:110] = 255
    Image.fromarray(picture).save(tmp_path / "wide.png")
    assert _one(tmp_path, _signature(1, 3, 4, 4)).mean() == pytest.approx(60 / 160, abs=0.02)
    assert _one(tmp_path, _signature(1, 3, 4, 4), fit="crop").min() == 1.0


def test_one_channel_is_gray(tmp_path: Path) -> None:
    """By the model's shape."""
    _save(tmp_path / "a.png", (255, 255, 255))
    assert _one(tmp_path, _signature(1, 1, 4, 6)).max() == 1.0
    with pytest.raises(UsageError, match="takes 1 channels"):
        _one(tmp_path, _signature(1, 1, 4, 6), channels="RGB")


def test_shapes_come_from_the_settings_where_no_model_says_them(tmp_path: Path) -> None:
    """A PyTorch factory without --input."""
    _save(tmp_path / "a.png")
    data = DataSet(tmp_path, what="calibration", images=Images(size=(8, 9)))
    assert data.specs() == (TensorSpec(name="", shape=(1, 3, 8, 9), dtype="float32"),)
    with pytest.raises(UsageError, match="size of the images is not known") as refused:
        DataSet(tmp_path, what="calibration").specs()
    assert "--image-size" in refused.value.hint


def test_subfolders_are_classes(tmp_path: Path) -> None:
    """In alphabetical order, or by their numbers."""
    for name in ("dog/1.jpg", "cat/2.jpg", "dog/0.jpg"):
        _save(tmp_path / "names" / name)
        _save(tmp_path / "numbers" / name.replace("dog", "7").replace("cat", "11"))
    named = DataSet(tmp_path / "names", what="evaluation").labels
    assert named is not None
    assert named.tolist() == [0, 1, 1]
    numbered = DataSet(tmp_path / "numbers", what="evaluation").labels
    assert numbered is not None
    assert numbered.tolist() == [11, 7, 7]
    _save(tmp_path / "names" / "stray.jpg")
    with pytest.raises(UsageError, match=r"stray\.jpg lies in no class"):
        _ = DataSet(tmp_path / "names", what="evaluation").labels


def test_a_table_of_labels_comes_first(tmp_path: Path) -> None:
    """A header does no harm; an image without a line is named."""
    for name in ("a.png", "b.png"):
        _save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,class\nb.png,3\na.png,9\n")
    labels = DataSet(tmp_path, what="evaluation").labels
    assert labels is not None
    assert labels.tolist() == [9, 3]
    (tmp_path / "labels.csv").write_text("b.png,3\n")
    with pytest.raises(UsageError, match=r"no line for a\.png"):
        _ = DataSet(tmp_path, what="evaluation").labels


def test_unlabeled_images_have_no_labels(tmp_path: Path) -> None:
    """Calibration needs none; hidden files do not count."""
    _save(tmp_path / "a.png")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    data = DataSet(tmp_path, what="calibration")
    assert data.labels is None
    assert len(data) == 1


def _png(width: int, height: int) -> bytes:
    """A PNG whose header claims this size, with hardly any pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 99)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _truncated(path: Path) -> None:
    _save(path, size=(200, 200))
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("bomb.png", lambda path: path.write_bytes(_png(60_000, 60_000)), "bomb.png claims more pixels than"),
        ("big.png", lambda path: path.write_bytes(_png(12_000, 9_000)), "big.png claims more pixels than"),
        ("cut.png", _truncated, "cut.png is not a whole image"),
        ("text.jpg", lambda path: path.write_text("no image"), "text.jpg is not a whole image"),
        ("paper.jpg", lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "paper.jpg is not a whole image"),
        ("deep.png", lambda path: Image.new("I;16", (6, 4)).save(path), "deep.png has more than 8 bits"),
        ("notes.txt", lambda path: path.write_text("x"), "notes.txt is no image that edgekit reads"),
        ("pipe.png", os.mkfifo, "pipe.png is no image that edgekit reads"),
        ("circle.png", lambda path: path.symlink_to(path), "circle.png is no image that edgekit reads"),
    ],
)
def test_what_is_no_whole_sane_image_is_refused_by_name(name: str, write: Any, reason: str, tmp_path: Path) -> None:
    """Bombs, cut files, text and documents in disguise, pipes, links to themselves."""
    _save(tmp_path / "a.png")
    write(tmp_path / name)
    with pytest.raises(UsageError, match=reason):
        DataSet(tmp_path, what="calibration").check(NCHW)


def test_an_ambiguous_shape_asks_for_the_layout(tmp_path: Path) -> None:
    """3 by 3 by 3 may be either."""
    _save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="does not tell where its channels are"):
        _one(tmp_path, _signature(1, 3, 3, 3))
    assert _one(tmp_path, _signature(1, 3, 3, 3), layout="NHWC")[0, 0, 0].tolist() == pytest.approx([1, 0, 0.2])


def test_settings_come_from_the_projects_file_and_the_command_line(tmp_path: Path) -> None:
    """What was given wins."""
    (tmp_path / "edgekit.toml").write_text('[images]\nsize = "96x128"\nmean = [0.5]\nlayout = "NHWC"\n')
    images = read_images({"mean": (0.1, 0.2, 0.3), "layout": None}, tmp_path)
    assert images == Images(size=(96, 128), mean=(0.1, 0.2, 0.3), layout="NHWC")


@pytest.mark.parametrize(
    ("text", "given", "reason"),
    [
        ('[images]\nsise = "96x96"\n', {}, "sise"),
        ('[images]\nsize = "big"\n', {}, "'big' is no image size"),
        ("[images]\nrange = 2\n", {}, "range"),
        ("images = 3\n", {}, "not a table"),
        ("", {"mean": (123.7, 116.3, 103.5)}, "units of 0 to 255"),
        ("", {"std": (0.2, 0.0, 0.2)}, "not positive"),
        ("", {"mean": (0.1, 0.2)}, "has 2 numbers"),
    ],
)
def test_wrong_settings_are_refused(text: str, given: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """With the key or option that is wrong."""
    (tmp_path / "edgekit.toml").write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_images(given, tmp_path)
