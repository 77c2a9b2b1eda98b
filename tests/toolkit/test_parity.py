"""How far two outputs are apart, in the figures that the field uses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import ConversionError, UsageError
from edgekit.parity import compare_outputs, top1_accuracy
from edgekit.protocols import Array


def _vectors(*values: list[float]) -> list[dict[str, Array]]:
    return [{"y": np.array(value, np.float32)} for value in values]


def test_equal_outputs_have_no_sqnr_and_no_error() -> None:
    """Equal to the bit is told apart from very close."""
    (figures,) = compare_outputs(_vectors([1, 2]), _vectors([1, 2]))
    assert (figures.max_abs, figures.relative_rms, figures.sqnr_db) == (0, 0, None)
    assert figures.cosine == pytest.approx(1)


def test_sqnr_is_twenty_log_ten_of_the_relative_error() -> None:
    """A tenth off everywhere is 20 dB."""
    (figures,) = compare_outputs(_vectors([1, -1, 1, -1]), _vectors([1.1, -1.1, 0.9, -0.9]))
    assert figures.relative_rms == pytest.approx(0.1, rel=1e-5)
    assert figures.sqnr_db == pytest.approx(20, abs=1e-3)
    assert figures.max_abs == pytest.approx(0.1, rel=1e-5)


def test_top1_agreement_is_the_share_of_vectors_with_the_same_winner() -> None:
    """One of two vectors keeps its class."""
    (figures,) = compare_outputs(_vectors([1, 2], [5, 1]), _vectors([1, 3], [1, 5]))
    assert figures.top1_agreement == 0.5


def test_a_single_score_has_no_top1() -> None:
    """One element is always the largest, which would tell nothing."""
    (figures,) = compare_outputs(_vectors([1.0]), _vectors([7.0]))
    assert figures.top1_agreement is None


def test_nan_is_never_within_a_bar() -> None:
    """An artifact that gives NaN fails whatever bar is set."""
    (figures,) = compare_outputs(_vectors([1, 2]), _vectors([float("nan"), 2]))
    assert not figures.relative_rms <= 1e9


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=20), st.floats(0.01, 100))
def test_the_relative_error_does_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    """Logits in other units have the same parity."""
    a = np.array(values, np.float64)
    if np.sqrt(np.mean(a**2)) < 1e-3:
        return
    b = a + 0.01 * np.arange(len(a))
    (one,) = compare_outputs([{"y": a}], [{"y": b}])
    (other,) = compare_outputs([{"y": a * unit}], [{"y": b * unit}])
    assert one.relative_rms == pytest.approx(other.relative_rms, rel=1e-6)


def test_accuracy_is_the_share_of_right_answers() -> None:
    """Top-1 over the evaluation set."""
    samples = _vectors([0, 1], [1, 0], [1, 0], [0, 1])
    assert top1_accuracy(lambda sample: sample, samples, np.array([1, 0, 1, 1]), "y") == 0.75


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_refused(label: int) -> None:
    """Labels counted from one, or of another task, would only look like a bad model."""
    with pytest.raises(UsageError, match="not one of the 2 classes"):
        top1_accuracy(lambda sample: sample, _vectors([0, 1]), np.array([label]), "y")


def test_outputs_of_another_size_are_no_outputs_to_compare() -> None:
    """Not even where NumPy would stretch one to fit the other."""
    with pytest.raises(ConversionError, match=r"'y' has shape \(1, 1\); the source's has \(1, 10\)"):
        compare_outputs([{"y": np.ones((1, 10))}], [{"y": np.ones((1, 1))}])
