"""What to ship, and why: by what was measured, never by what was not."""

from typing import Any

import msgspec
import pytest

from edgekit.errors import UsageError
from edgekit.report import Figures, doubts, figures, milliseconds, recommend
from edgekit.run import GoldenCheck
from fakes import make_repetition, make_run


def _item(median_ns: int, precision: str = "fp32", format_: str = "tflite", **artifact: Any) -> Figures:
    """A run of this median, one in a thousand of spread, in each process and between them."""
    facts = {"precision": precision, "format": format_, "name": f"net-{format_}-{precision}", **artifact}
    samples = range(median_ns - median_ns // 1000, median_ns + median_ns // 1000, max(1, median_ns // 50_000))
    repetitions = [make_repetition([sample + step * median_ns // 1000 for sample in samples]) for step in (-1, 0, 1)]
    return figures(make_run(artifact=facts, id=f"{format_}-{precision}", repetitions=tuple(repetitions)))


def test_the_fastest_wins_among_the_accurate() -> None:
    """With its gain over fp32 and over the other format."""
    items = [
        _item(1_000_000),
        _item(400_000, "int8", model_bytes=25_000, accuracy=0.895),
        _item(900_000, "int8", "torchscript", accuracy=0.9),
    ]
    advice = recommend(items)
    assert advice is not None
    assert advice.artifact == "net-tflite-int8"
    assert "0.400 ms median, 89.5% accuracy, 25 kB" in advice.headline
    assert "2.5x faster, 4.0x smaller, -0.5 points of accuracy" in advice.reasons[0]
    assert "torchscript" in advice.reasons[1]
    assert "2.2x faster" in advice.reasons[1]


def test_speed_does_not_buy_accuracy() -> None:
    """An artifact more than a point below the best is left out, by name."""
    advice = recommend([_item(1_000_000), _item(100_000, "int8", accuracy=0.88)])
    assert advice is not None
    assert advice.artifact == "net-tflite-fp32"
    assert "net-tflite-int8" in advice.reasons[-1]


def test_of_equally_fast_ones_the_most_accurate_wins_then_the_smallest() -> None:
    """Intervals that overlap do not tell them apart."""
    equal = [_item(1_000_000), _item(1_000_400, "fp16", accuracy=0.905, model_bytes=50_000)]
    advice = recommend(equal)
    assert advice is not None
    assert advice.artifact == "net-tflite-fp16"
    assert "1 other is equally fast" in advice.headline
    small = recommend([_item(1_000_000), _item(1_000_400, "fp16", model_bytes=50_000)])
    assert small is not None
    assert small.artifact == "net-tflite-fp16"


def test_an_artifact_that_differs_on_the_device_is_never_shipped() -> None:
    """And when none is left there is no advice."""
    failed = GoldenCheck(passed=False, relative_rms=0.5, max_error=0.1, vectors=8)
    wrong = figures(make_run([10] * 100, golden=failed, id="wrong"))
    advice = recommend([wrong, _item(1_000_000)])
    assert advice is not None
    assert advice.run_id != "wrong"
    assert recommend([wrong]) is None


def test_without_labels_speed_decides() -> None:
    """No accuracy is claimed."""
    advice = recommend([_item(1_000_000, accuracy=None), _item(500_000, "int8", accuracy=None)])
    assert advice is not None
    assert advice.artifact == "net-tflite-int8"
    assert "accuracy" not in advice.headline + "".join(advice.reasons)


@pytest.mark.parametrize("other", [{"device": "ssh://pi"}, {"environment": {"kind": "emulated"}}])
def test_runs_that_are_not_alike_are_not_compared(other: dict[str, Any]) -> None:
    """Other devices, and emulated beside physical."""
    with pytest.raises(UsageError, match="different"):
        recommend([figures(make_run()), figures(make_run(**other))])


def test_where_it_was_measured_is_said_with_the_advice() -> None:
    """An emulated figure never looks like a physical one."""
    advice = recommend([figures(make_run(environment={"kind": "emulated"}))])
    assert advice is not None
    assert "(emulated)" in advice.headline


def test_a_run_that_was_disturbed_is_doubted() -> None:
    """Processes that disagree, and a warm-up that never became steady; a quiet run is not."""
    quiet = make_run()
    assert doubts(figures(quiet)) == ()
    slow = make_repetition(range(1_500_000, 1_500_100))
    apart = make_run(repetitions=(*quiet.repetitions[:2], slow))
    assert "50% apart" in doubts(figures(apart))[0]
    restless = msgspec.structs.replace(slow, settled=False)
    assert "warm-up" in doubts(figures(make_run(repetitions=(restless,))))[0]


@pytest.mark.parametrize(
    ("nanoseconds", "shown"), [(5_321, "0.0053"), (123_456, "0.123"), (1_234_567, "1.23"), (98_765_432, "98.8")]
)
def test_milliseconds_keep_what_can_be_told_apart(nanoseconds: int, shown: str) -> None:
    """Two to three digits, no exponent."""
    assert milliseconds(nanoseconds) == shown
