"""Calibration and evaluation sets: what fits a model, and what is refused before anything slow runs."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.dataset import DataSet
from edgekit.errors import UsageError
from edgekit.model import Signature, TensorSpec
from edgekit.protocols import Array

IMAGE = Signature(inputs=(TensorSpec(name="image", shape=(1, 3, 4), dtype="float32"),), outputs=())
PAIR = Signature(
    inputs=(TensorSpec(name="a", shape=(1, 2), dtype="float32"), TensorSpec(name="b", shape=(1, 2), dtype="float32")),
    outputs=(),
)


def _npz(folder: Path, **arrays: Array) -> Path:
    path = folder / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # arrays by name
    return path


def test_samples_get_the_batch_axis(tmp_path: Path) -> None:
    """The first axis counts samples; each is shaped as the model's input."""
    data = DataSet(_npz(tmp_path, image=np.ones((5, 3, 4), np.float32)), what="calibration")
    samples = list(data.samples(IMAGE))
    assert len(samples) == 5
    assert samples[0]["image"].shape == (1, 3, 4)


def test_one_array_fits_one_input_whatever_its_name(tmp_path: Path) -> None:
    """People call their arrays x."""
    data = DataSet(_npz(tmp_path, x=np.ones((5, 3, 4))), what="calibration")
    assert data.sample(0, IMAGE)["image"].dtype == np.float32


def test_an_npy_file_is_one_input(tmp_path: Path) -> None:
    """Without a name it fits a model of one input."""
    np.save(tmp_path / "x.npy", np.ones((2, 3, 4), np.float32))
    assert len(DataSet(tmp_path / "x.npy", what="calibration")) == 2


def test_a_folder_holds_a_sample_a_file(tmp_path: Path) -> None:
    """In the order of their names."""
    for place in range(3):
        np.save(tmp_path / f"{place}.npy", np.full((3, 4), place, np.float32))
    data = DataSet(tmp_path, what="calibration")
    assert [float(np.max(sample["image"])) for sample in data.samples(IMAGE)] == [0, 1, 2]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_mapped_however_they_are_stored(tmp_path: Path, save: Any, order: Any) -> None:
    """Compressed or not, by rows or by columns: the same samples."""
    images = np.arange(60, dtype=np.float32).reshape(5, 3, 4)
    save(tmp_path / "data.npz", image=np.asarray(images, order=order), labels=np.arange(5))
    data = DataSet(tmp_path / "data.npz", what="evaluation")
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2, 3, 4]
    assert [sample["image"].tolist() for sample in data.samples(IMAGE)] == [[image.tolist()] for image in images]


def test_a_set_larger_than_memory_allows_is_read(tmp_path: Path) -> None:
    """Sample by sample: the peak stays under what one copy of the set would take."""
    np.savez(tmp_path / "data.npz", image=np.zeros((1 << 19, 3, 4, 16), np.float32))
    signature = Signature(inputs=(TensorSpec(name="image", shape=(1, 3, 4, 16), dtype="float32"),), outputs=())
    tracemalloc.start()
    try:
        assert DataSet(tmp_path / "data.npz", what="calibration").sample(1 << 18, signature)["image"].shape[0] == 1
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_labels_are_no_input(tmp_path: Path) -> None:
    """The array called labels, or y, holds the classes."""
    data = DataSet(_npz(tmp_path, image=np.ones((2, 3, 4), np.float32), y=np.array([0, 1])), what="evaluation")
    assert data.labels is not None
    assert list(data.sample(1, IMAGE)) == ["image"]


def test_the_shape_of_an_input_can_be_taken_from_data(tmp_path: Path) -> None:
    """A model whose shapes nobody gave is traced with those of its samples."""
    data = DataSet(_npz(tmp_path, x=np.ones((9, 3, 4))), what="calibration")
    assert data.specs() == (TensorSpec(name="", shape=(1, 3, 4), dtype="float32"),)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"image": np.ones((2, 4, 3), np.float32)}, "has shape 4x3, the model wants 3x4"),
        ({"image": np.ones((3, 4), np.float32)}, "has shape 4, the model wants 3x4"),
        ({"image": np.ones((2, 3, 4), np.uint8)}, "holds uint8, the model wants float32"),
        ({"image": np.full((2, 3, 4), np.nan, np.float32)}, "NaN or infinity"),
        ({"image": np.full((2, 3, 4), np.inf, np.float32)}, "NaN or infinity"),
    ],
)
def test_samples_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Array], reason: str) -> None:
    """Wrong shape, wrong dtype, NaN: the message says what the model wants."""
    with pytest.raises(UsageError, match=reason):
        DataSet(_npz(tmp_path, **arrays), what="calibration").check(IMAGE)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"image": np.ones((0, 3, 4), np.float32)}, "holds no calibration samples"),
        ({"labels": np.ones(3)}, "labels but no inputs"),
        ({"image": np.ones((2, 3, 4)), "labels": np.ones(3)}, "differ in length"),
    ],
)
def test_a_set_that_is_none_is_refused_when_it_is_opened(tmp_path: Path, arrays: dict[str, Array], reason: str) -> None:
    """Zero samples, no inputs, arrays of different lengths."""
    with pytest.raises(UsageError, match=reason):
        DataSet(_npz(tmp_path, **arrays), what="calibration")


def test_a_wrong_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """With several inputs, names must match."""
    data = DataSet(_npz(tmp_path, a=np.ones((2, 2)), bb=np.ones((2, 2))), what="calibration")
    with pytest.raises(UsageError, match="no array for input 'b'") as refused:
        data.check(PAIR)
    assert "bb" in refused.value.hint or "a, bb" in refused.value.hint


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    """A NumPy file with Python objects is a pickle."""
    with pytest.raises(UsageError, match="Python objects"):
        DataSet(_npz(tmp_path, image=np.array([{"a": 1}], dtype=object)), what="calibration")


@pytest.mark.parametrize("keep", [0, 1, 40, 200])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    """Wherever it was cut."""
    path = _npz(tmp_path, image=np.ones((5, 3, 4), np.float32))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="not a whole NumPy file"):
        DataSet(path, what="calibration")


@pytest.mark.parametrize("name", ["absent.npz", "folder", "data.csv"])
def test_what_is_no_data_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Missing, a folder without samples, another kind of file."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(UsageError, match=name):
        DataSet(tmp_path / name, what="calibration")
