"""Samples that a function of the user's yields: streamed, the same in each pass, or refused."""

from pathlib import Path

import numpy as np
import pytest

from edgekit.dataset import DataSet
from edgekit.errors import UsageError
from edgekit.model import Signature, TensorSpec
from edgekit.plan import DataRef

IMAGE = Signature(inputs=(TensorSpec(name="image", shape=(1, 2), dtype="float32"),), outputs=())


def _data(folder: Path, body: str) -> DataSet:
    (folder / "samples.py").write_text(f"import numpy as np\n\ndef samples():\n    {body}\n")
    return DataSet(f"{folder}/samples.py:samples", what="calibration")


def test_samples_are_streamed_and_counted_by_the_first_pass(tmp_path: Path) -> None:
    """Arrays for a model of one input; the reference gets their number and the hash of what was yielded."""
    data = _data(tmp_path, "yield from (np.full(2, place, np.float32) for place in range(5))")
    assert len(data) == 0
    data.check(IMAGE)
    assert len(data) == 5
    assert [sample["image"].tolist() for sample in data.samples(IMAGE, [1, 4])] == [[[1, 1]], [[4, 4]]]
    ref = data.counted(DataRef(name="samples.py:samples", sha256="of the file", samples=0))
    assert ref.samples == 5
    assert ref.sha256 != "of the file"


def test_dicts_bring_names_and_labels(tmp_path: Path) -> None:
    """The label is no input."""
    data = _data(tmp_path, "yield from ({'image': [1.0, 2.0], 'label': place % 2} for place in range(4))")
    data.check(IMAGE)
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 0, 1]


def test_shapes_come_from_the_first_sample(tmp_path: Path) -> None:
    """As with any other data."""
    data = _data(tmp_path, "yield np.zeros((3, 4))")
    assert data.specs() == (TensorSpec(name="", shape=(1, 3, 4), dtype="float32"),)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("yield np.random.default_rng().normal(size=2)", "yields another sample 0 than before"),
        ("if not hasattr(np, '_seen'): yield np.zeros(2); np._seen = 1", "fewer samples than before"),
        ("yield np.zeros(2); yield {'image': np.zeros(2), 'label': 1}", "a label with some samples"),
        ("yield 'text'", "yields str, which holds no numbers"),
        ("yield np.zeros(3)", "the model wants 2"),
        ("yield {'imge': np.zeros(2), 'b': np.zeros(2)}", "no array for input 'image'"),
        ("raise OSError('no disk')", "samples.py:samples failed: OSError: no disk"),
        ("return 3", "gives int, nothing to go through"),
        ("return []", "holds no calibration samples"),
        ("while True: yield np.zeros(2, np.float32)", "has not ended"),
    ],
)
def test_what_is_no_set_of_samples_is_refused(
    body: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples that change, another kind of thing, a failure, no end."""
    monkeypatch.setattr("edgekit.generated._MOST", 1000)
    with pytest.raises(UsageError, match=reason):
        _twice(_data(tmp_path, body))


def _twice(data: DataSet) -> None:
    for _ in range(2):
        data.check(IMAGE)


def test_a_wrong_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """As elsewhere."""
    _data(tmp_path, "yield np.zeros(2)")
    with pytest.raises(UsageError, match="no function 'sample'") as refused:
        DataSet(f"{tmp_path}/samples.py:sample", what="calibration").check(IMAGE)
    assert "samples" in refused.value.hint


def test_a_folder_of_samples_may_hold_labels(tmp_path: Path) -> None:
    """One of each file, or none."""
    for place in range(3):
        np.savez(tmp_path / f"{place}.npz", image=np.zeros(2, np.float32), label=np.array([place]))
    data = DataSet(tmp_path, what="evaluation")
    data.check(IMAGE)
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 2]
    np.savez(tmp_path / "3.npz", image=np.zeros(2, np.float32))
    with pytest.raises(UsageError, match=r"3\.npz has no label"):
        _ = DataSet(tmp_path, what="evaluation").labels
