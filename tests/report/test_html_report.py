"""The HTML report: what it says, that it says it safely, and that it needs nothing else."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.html_report import write_report
from edgekit.html_report.entries import EXACT_DB, FEW, entries
from edgekit.html_report.series import beyond, distribution, drift, over_time
from edgekit.html_report.tables import NONE
from edgekit.report import figures
from edgekit.run import CpuState, GoldenCheck, Run, Schedule
from fakes import make_run

HOSTILE = "<script>alert(1)</script>"
LOADING = {"src", "href", "srcset", "action", "data", "poster", "background"}


class _Page(HTMLParser):
    """The page as a browser reads it: its text, its scripts, and every attribute that loads something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.loads: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.loads += [(name, value) for name, value in attrs if name in LOADING]
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def charts(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.scripts[0])
        return read


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a report and reads it back."""

    def write_and_read(*runs: Run) -> _Page:
        path = tmp_path / "report.html"
        write_report(runs, path)
        return _Page(path.read_text("utf-8"))

    return write_and_read


def _two(**changes: Any) -> tuple[Run, Run]:
    """A float artifact, and one of eight bits that is faster."""
    slow = make_run(range(2_000_000, 2_000_200), id="run-1", **changes)
    facts = {"name": "net-tflite-int8", "precision": "int8", "model_bytes": 30_000, "accuracy": 0.895}
    return slow, make_run(range(1_000_000, 1_000_200), id="run-2", artifact=facts, **changes)


def test_the_page_opens_with_what_to_ship_and_why(write: Any) -> None:
    """The recommendation and its reasons come first, the device beside it."""
    page = write(*_two())
    assert "Ship net-tflite-int8 on local:: 1.00 ms median" in page.text
    assert "Against tflite fp32 of the same source: 2.0x faster" in page.text
    assert "Raspberry Pi 4 Model B, Cortex-A72, 4 cores" in page.text
    assert page.text.index("Ship net") < page.text.index("Results")


def test_nothing_is_recommended_when_nothing_is_sound(write: Any) -> None:
    """An artifact that computes something else is not to be shipped, however fast."""
    failed = GoldenCheck(passed=False, relative_rms=None, max_error=1e-4, vectors=8)
    page = write(*_two(golden=failed))
    assert "Do not ship any of these" in page.text
    assert "parity failed" in page.text
    assert "not a number" in page.text


@pytest.mark.parametrize(("kind", "badge"), [("emulated", "EMULATED"), ("virtual", "VIRTUAL MACHINE")])
def test_a_device_that_is_not_physical_has_a_badge(write: Any, kind: str, badge: str) -> None:
    """Nobody takes an emulator's latency for a board's."""
    assert badge in write(make_run(environment={"kind": kind})).text
    assert badge not in write(make_run()).text


def test_several_devices_are_said_first_and_get_a_recommendation_each(write: Any) -> None:
    """Runs of different devices are shown together, and not compared."""
    first, second = _two()
    page = write(first, make_run(id="run-3", device="ssh://other"), second)
    assert "from 2 different devices or kinds of device" in page.text
    assert page.text.index("different devices") < page.text.index("Ship ")
    assert len(re.findall(r"Ship \S+ on", page.text)) == 2
    assert "--force -o report.html" in page.text


def test_doubts_are_listed(write: Any) -> None:
    """A run that was not steady says so beside the recommendation, and in the table."""
    hot = CpuState(frequency_hz=(1_000_000_000,))
    page = write(make_run(environment={"before": CpuState(frequency_hz=(1_800_000_000,)), "after": hot}))
    assert "Reasons for doubt" in page.text
    assert "the clock fell from 1800 to 1000 MHz" in page.text
    assert "Reasons for doubt" not in write(make_run()).text


def test_percentiles_that_samples_do_not_support_are_dashes_with_a_reason(write: Any) -> None:
    """300 samples support p90 and p95; p99 takes 662."""
    page = write(make_run(range(1_000_000, 1_000_100)))
    assert f"1.00 to 1.00 1.00 1.00 {NONE} " in page.text
    assert "early-stopping rule" in page.text
    assert "(the rule takes 64, 130 and 662)" in page.text


def test_a_single_cold_start_has_no_interval_and_still_a_page(write: Any) -> None:
    """One sample in one process: a dash, no whiskers."""
    page = write(make_run([1_000_000], processes=1, schedule=Schedule(mode="cold", repeat=1)))
    assert page.charts["pareto"]["data"][-1]["error_x"] == {"visible": False}
    assert "first inference only" in page.text


def test_facts_that_differ_come_before_those_that_are_shared(write: Any) -> None:
    """What may explain a difference is not hidden among what cannot."""
    runs = [make_run(id=f"run-{index}", schedule=Schedule(threads=threads)) for index, threads in enumerate((1, 1, 4))]
    page = write(*runs)
    told = page.text[page.text.index("These facts differ") :]
    assert told.index("Threads") < told.index("facts that all runs share") < told.index("glibc 2.36")


def test_commands_take_the_runs_again(write: Any) -> None:
    """One command for all runs that were taken alike; the report's own after it."""
    page = write(*_two(schedule=Schedule(threads=2, repeat=4, min_time_s=0.5)))
    options = "--device local: --target host --threads 2 --repeat 4 --min-time 0.5s"
    assert f"edgekit bench net-tflite-fp32.edgekit net-tflite-int8.edgekit {options}" in page.text
    assert "edgekit report run-2 run-1 -o report.html" in page.text


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(mode="burst", period_s=0.033), "--period 33ms --repeat 5"),
        (Schedule(mode="sustained", min_time_s=300.0, repeat=1), "--sustained 300s --repeat 1"),
        (Schedule(mode="cold", repeat=9, delegate="none"), "--cold --repeat 9 --delegate none"),
        (Schedule(precision_goal=0.01), "--precision-goal 1% --budget 60s"),
    ],
)
def test_commands_keep_the_way_of_measuring(write: Any, schedule: Schedule, words: str) -> None:
    """A burst is not reproduced by a plain run."""
    assert words in write(make_run(schedule=schedule)).text


def test_names_that_are_markup_stay_text(tmp_path: Path) -> None:
    """Artifact and device names come from users; no script of theirs is one of the page's."""
    facts = {"name": HOSTILE, "source": HOSTILE, "format": HOSTILE, "precision": HOSTILE}
    write_report([make_run(artifact=facts, device=HOSTILE, method=HOSTILE)], tmp_path / "report.html")
    raw = (tmp_path / "report.html").read_text("utf-8")
    page = _Page(raw)
    assert "<script>alert" not in raw
    assert f"Ship {HOSTILE} on {HOSTILE}" in page.text
    assert len(page.scripts) == 3
    assert "&lt;script&gt;" in page.charts["cumulative"]["data"][0]["name"]


def test_nothing_is_loaded_from_anywhere(write: Any, tmp_path: Path) -> None:
    """No element loads, and the browser is told to refuse if one did."""
    assert write(*_two()).loads == []
    raw = (tmp_path / "report.html").read_text("utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', raw)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "@import" not in raw[: raw.index("</style>")]


def test_fifty_runs_stay_below_six_megabytes(tmp_path: Path) -> None:
    """10,000 samples a run are thinned to what a screen can show."""
    samples = [1_000_000 + 7919 * index % 104_729 for index in range(2000)]
    runs = [
        make_run(
            samples, processes=5, id=f"run-{index}", artifact={"name": f"net-{index}", "model_bytes": 1000 + index}
        )
        for index in range(50)
    ]
    write_report(runs, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 6_000_000


def test_many_runs_are_grey_but_for_the_pareto_optimal() -> None:
    """A legend of fifty colours tells nothing."""
    runs = [
        make_run(range(time, time + 100), id=f"run-{time}", artifact={"accuracy": 0.9 if time < 2_000_000 else 0.8})
        for time in range(1_000_000, 1_000_000 + 200_000 * (FEW + 1), 200_000)
    ]
    looks = {entry.look.colour: entry.optimal for entry in entries([figures(run) for run in runs])}
    assert looks == {"s1": True, "muted": False}


def test_without_accuracy_runs_are_placed_by_sqnr_against_their_own_source(write: Any) -> None:
    """Equal to the bit is drawn above what float32 can show; sources do not compete by SQNR."""
    exact = GoldenCheck(passed=True, relative_rms=0.0, max_error=1e-4, vectors=8)
    blind = {"accuracy": None, "source_accuracy": None}
    page = write(
        make_run(id="a", artifact=blind, golden=exact),
        make_run(range(2_000_000, 2_000_100), id="b", artifact={**blind, "source": "other.py:make"}),
    )
    points = [trace for trace in page.charts["pareto"]["data"] if "marker" in trace]
    assert page.charts["pareto"]["layout"]["yaxis"]["title"]["text"] == "SQNR to the source, dB"
    assert [point["y"] for point in points] == [[EXACT_DB], [120.0]]
    assert not any(point["marker"]["symbol"].endswith("-open") for point in points)


def test_a_distribution_keeps_the_fastest_and_the_slowest() -> None:
    """Thinning loses no extreme, and its last point is all of the samples."""
    curve = distribution([*range(1_000_000, 1_100_000), 9_000_000])
    assert len(curve.latency_ms) == 400
    assert (curve.latency_ms[0], curve.latency_ms[-1], curve.percent[-1]) == (1.0, 9.0, 100.0)


def test_a_time_series_keeps_every_extreme_and_no_bin_spans_processes() -> None:
    """Each process has bins of its own, in proportion to its samples."""
    first, second = over_time([[1_000_000] * 3000, [2_000_000] * 999 + [9_000_000]])
    assert (len(first.sample), len(second.sample), second.end) == (225, 75, 4000)
    assert set(first.high_ms) == {1.0}
    assert (min(second.low_ms), max(second.high_ms)) == (2.0, 9.0)


def test_few_samples_are_drawn_one_by_one() -> None:
    """A bin is never empty."""
    (only,) = over_time([[3_000_000, 1_000_000]])
    assert (only.sample, only.middle_ms) == ([1.0, 2.0], [3.0, 1.0])


def test_drift_is_last_quarter_against_first() -> None:
    """A process that ends 10 % slower drifts by 10 %; too few samples tell nothing."""
    assert drift([[100] * 50 + [110] * 50]) == pytest.approx(0.1)
    assert drift([[100] * 7]) is None


def test_what_lies_beyond_an_axis_is_counted() -> None:
    """Samples that are not drawn are told."""
    assert beyond([1_000_000, 5_000_000, 7_000_000], 2.0) == (2, 7.0)
    assert beyond([1_000_000], 2.0) is None


def test_no_run_is_refused(tmp_path: Path) -> None:
    """An empty page helps nobody."""
    with pytest.raises(UsageError, match="no run"):
        write_report([], tmp_path / "report.html")


def test_a_place_that_cannot_be_written_is_refused_with_a_hint(tmp_path: Path) -> None:
    """A folder of that name, or a file where a folder should be; nothing is left behind."""
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.html", tmp_path / "file" / "report.html"):
        with pytest.raises(UsageError, match="Cannot write") as caught:
            write_report([make_run()], path)
        assert "another place" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.html"]


@pytest.mark.parametrize("missing", ["jinja2", "plotly.offline"])
def test_a_missing_library_is_named_with_the_way_to_get_it(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is an extra: who has not installed it is told how."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=missing.partition(".")[0]) as caught:
        write_report([make_run()], tmp_path / "report.html")
    assert caught.value.hint == "pip install jinja2 plotly"
