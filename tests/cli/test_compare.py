"""`edgekit compare`, `bench --paired` and `calibrate-noise`: the gate and what it goes by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from edgekit.artifact import Artifact
from edgekit.run import Run
from edgekit.store import open_store
from edgekit_cli.main import main
from fakes import make_repetition, make_run

MakeArtifact = Callable[..., Artifact]


def store_run(name: str, factor: float, *, spread: float = 0.001, **changes: Any) -> str:
    """Store a run whose five processes measured a millisecond times `factor`; gives its id."""
    repetitions = tuple(
        make_repetition([int(1e6 * factor * (1 + spread * (place - 2))) + step for step in range(100)])
        for place in range(5)
    )
    run: Run = make_run(repetitions=repetitions, id=name, **changes)
    return open_store().record(run)


@pytest.fixture
def base() -> str:
    """A run to compare with."""
    return store_run("base", 1.0)


@pytest.mark.parametrize(
    ("factor", "spread", "code", "result", "sentence"),
    [
        (1.1, 0.001, 1, "failure", "Slower: the median changed by +10.0%"),
        (0.9, 0.001, 0, "passed", "Faster: the median changed by -10.0%"),
        (1.0, 0.001, 0, "passed", "The same within the noise band of ±2.0%"),
        (1.03, 0.08, 0, "skipped", "Cannot tell:"),
    ],
    ids=["slower", "faster", "same", "cannot tell"],
)
def test_the_gate_by_exit_code_words_and_junit(
    base: str,
    *,
    factor: float,
    spread: float,
    code: int,
    result: str,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Slower fails; what cannot be told passes, and is marked as skipped."""
    new = store_run("new", factor, spread=spread)
    report = tmp_path / "gate.xml"
    assert main(["compare", base, new, "--junit", str(report)]) == code
    assert sentence in capsys.readouterr().out
    ((case,),) = JUnitXml.fromfile(str(report))
    assert [item._tag for item in case.result] == [result] * (result != "passed")
    assert case.name == "median > +2%"


def test_strict_fails_what_cannot_be_told(base: str) -> None:
    """For those who want proof."""
    new = store_run("new", 1.03, spread=0.08)
    assert main(["compare", base, new]) == 0
    assert main(["compare", base, new, "--strict"]) == 1


def test_every_condition_is_told(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that fails is enough."""
    new = store_run("new", 1.04)
    asked = ["--fail-if", "median > +5%", "--fail-if", "p90 > +1%"]
    assert main(["compare", base, new, *asked]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "✓ median > +5%: passed" in shown
    assert "✗ p90 > +1%: FAILED" in shown


def test_json_and_markdown(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for machines and for pull requests; a name cannot break the table."""
    new = store_run("new", 1.1, artifact={"name": "a|b<img>"}, runtime="LiteRT 2.4.0")
    assert main(["compare", base, new, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["passed"], told["checks"][0]["state"]) == ("slower", False, "failed")
    assert told["median"]["low"] < 1.1 < told["median"]["high"]
    assert main(["compare", base, new, "--markdown"]) == 1
    text = capsys.readouterr().out
    assert "a\\|b&lt;img>" in text
    assert "| runtime | LiteRT 2.3.0 | LiteRT 2.4.0 | possible" in text


def test_other_devices_are_refused_unless_forced(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Emulated and physical times are different things."""
    new = store_run("new", 1.0, environment={"kind": "emulated"})
    assert main(["compare", base, new]) == 2
    assert "different kinds of machine, physical and emulated" in capsys.readouterr().err
    assert main(["compare", base, new, "--force"]) == 0
    assert "Not comparable, and compared all the same" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["base", "none"], "There is no run none"),
        (["base", "base", "--fail-if", "medain > 5%"], "Did you mean"),
        (["base", "base", "--band", "2"], "is no percentage"),
        (["base", "base", "--junit", "/proc/none/gate.xml"], "Cannot write to /proc/none/gate.xml"),
    ],
)
def test_bad_requests_are_refused(
    base: str, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with what is wrong."""
    assert base
    assert main(["compare", *arguments]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.slow
def test_a_pair_is_measured_compared_and_stored(
    make_artifact: MakeArtifact, linear_tflite: Path, linear_ptl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TFLite against TorchScript in turns, and the same comparison again from the store."""
    pair = [str(make_artifact(model).path) for model in (linear_tflite, linear_ptl)]
    short = ["--min-time", "0.02", "--repeat", "6"]
    assert main(["bench", *pair, "--paired", *short, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert told["outcome"] in {"slower", "faster"}
    assert "took turns" in told["median"]["method"]
    code = main(["compare", told["base"]["run"], told["new"]["run"], "--json"])
    again = json.loads(capsys.readouterr().out)
    assert again["median"] == told["median"]
    assert code == (1 if told["outcome"] == "slower" else 0)


@pytest.mark.slow
def test_a_calibrated_device_decides_by_its_own_noise(
    make_artifact: MakeArtifact, linear_tflite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The band is measured, kept, and used by the next comparison."""
    artifact = str(make_artifact(linear_tflite).path)
    assert main(["calibrate-noise", "local:", "--artifact", artifact, "--rounds", "2", "--json"]) == 0
    band = json.loads(capsys.readouterr().out)
    assert band["apart"] >= 0.005
    runs = [run.id for run in open_store().runs()]
    assert sorted(runs) == sorted(band["runs"])
    main(["compare", band["runs"][0], band["runs"][1], "--json"])
    assert json.loads(capsys.readouterr().out)["band"] == band["apart"]
    assert main(["calibrate-noise", "local:", "--artifact", artifact, "--rounds", "1"]) == 2
