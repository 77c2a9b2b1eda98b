"""`edgekit targets`: what devices are, and whether an artifact fits one."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.artifact import Artifact
from edgekit_cli.main import main

MakeArtifact = Callable[..., Artifact]


def test_the_list_has_a_line_for_each_profile_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """This machine first; its own title may be as long as its processor's name is."""
    assert main(["targets", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("host")
    assert any("Raspberry Pi Zero 2 W" in line and "0.5 GiB" in line for line in lines)


def test_a_profile_that_is_wrong_is_listed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are shown all the same; the exit code tells."""
    folder = Path(os.environ["EDGEKIT_CONFIG"]) / "targets"
    folder.mkdir(parents=True)
    (folder / "camera.toml").write_text('extends = "raspberrypi4"\ncolour = "red"\n')
    assert main(["targets", "list"]) == 2
    shown = capsys.readouterr().out
    assert "raspberrypi4" in shown
    assert "camera.toml" in shown
    assert "colour" in shown
    assert main(["targets", "list", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert {"host", "raspberrypi4"} <= {item["name"] for item in told["targets"]}
    assert "colour" in told["wrong"][0]["cause"]


def test_a_profile_is_shown_with_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for machines."""
    assert main(["targets", "show", "jetson-nano"]) == 0
    shown = capsys.readouterr().out
    for part in ("Cortex-A57, 4 cores, up to 1.43 GHz", "4 GiB", "tflite-runtime==2.5.0", "https://"):
        assert part in shown
    assert main(["targets", "show", "jetson-nano", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cpu"]["cores"] == 4


def test_an_unknown_name_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """Bad input: exit code 2."""
    assert main(["targets", "show", "raspberrypie4"]) == 2
    assert "Did you mean raspberrypi4" in capsys.readouterr().err


def test_check_passes_an_artifact_that_fits(
    make_artifact: MakeArtifact, linear_tflite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what it would run on, and how well that is known."""
    artifact = make_artifact(linear_tflite)
    assert main(["targets", "check", str(artifact.path), "--target", "raspberrypi4"]) == 0
    shown = capsys.readouterr().out
    assert "fits Raspberry Pi 4 Model B, with ai-edge-litert" in shown
    assert "untested on hardware" in shown


def test_check_fails_one_that_does_not(
    make_artifact: MakeArtifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, with the reason; a TorchScript model has nothing to run on there."""
    model = tmp_path / "linear.ptl"
    model.write_bytes(b"a model that is never opened")
    artifact = make_artifact(model)
    assert main(["targets", "check", str(artifact.path), "--target", "linux-armv7"]) == 1
    assert "no runtime for torchscript" in capsys.readouterr().out
    assert main(["targets", "check", str(artifact.path), "--target", "linux-armv7", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["fits"] is False
    assert told["misfits"][0]["hint"] == "It runs tflite: --format tflite"


def test_check_refuses_what_is_no_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad input is not a failed check."""
    assert main(["targets", "check", str(tmp_path), "--target", "raspberrypi4"]) == 2
    assert "is not an artifact" in capsys.readouterr().err
