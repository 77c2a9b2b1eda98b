"""`edgekit push`, `rollback` and `artifacts`: what users see, on one device and on many."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekit_cli.main import main
from models.linear import MakeArtifact, MakePayload
from peers.openssh import SshServer


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "edgekit.toml"


def told(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict[str, Any]:
    """A command's answer as JSON."""
    assert main([*argv, "--json"]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    """A command's answer in words."""
    assert main([*argv]) == code
    return capsys.readouterr().out


class TestOne:
    def test_there_and_back(self, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]) -> None:
        """Push, push again, push another, go back, look."""
        old, new = (make_payload(bytes([seed]) * 5_000) for seed in (1, 2))
        for path, words in ((old, "pushed: "), (old, "was there already"), (new, "pushed: ")):
            assert f"payload {words}" in said(capsys, "push", str(path.path), "--device", "local:")
        assert f"payload is back at {old.id[:12]}" in said(capsys, "rollback", "payload", "local:")
        lines = said(capsys, "artifacts", "local:").splitlines()
        assert lines[0] == "payload"
        assert [old.id[:12] in line for line in lines if "in use" in line] == [True]
        assert len(lines) == 3

    def test_for_machines(self, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]) -> None:
        """Every figure."""
        artifact = make_payload(bytes(5_000))
        (device,) = told(capsys, "push", str(artifact.path), "--device", "local:")["devices"]
        (pushed,) = device["pushed"]
        assert (device["url"], pushed["id"], pushed["checked"]) == ("local:", artifact.id, False)
        assert 0 < pushed["sent_bytes"] < pushed["bytes"]
        (device,) = told(capsys, "artifacts", "local:")["devices"]
        assert [version["current"] for version in device["artifacts"]["payload"]] == [True]

    @pytest.mark.parametrize(
        ("argv", "cause"),
        [
            (["push", "missing.edgekit", "--device", "local:"], "There is no artifact at missing.edgekit"),
            (["push", "ARTIFACT", "--device", "nowhere"], "There is no device 'nowhere'"),
            (["push", "ARTIFACT", "--device", "group:lab"], "lists no devices"),
            (["push", "ARTIFACT", "--device", "local:", "--keep", "0"], "at least the current version stays"),
            (["push", "ARTIFACT", "--device", "ssh:", "--target", "raspberypi4"], "There is no target"),
            (["rollback", "payload", "local:"], "There is no artifact 'payload'"),
            (["rollback", "../x", "local:"], "There is no artifact '../x'"),
            (["artifacts", "nowhere"], "There is no device 'nowhere'"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, argv: list[str], cause: str, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """In one line, with another that says what to do."""
        artifact = str(make_payload(bytes(10)).path)
        assert main([artifact if word == "ARTIFACT" else word for word in argv]) in {2, 3}
        words = capsys.readouterr().err
        assert cause in words
        assert "Traceback" not in words

    def test_no_artifacts(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With how to bring some."""
        assert "edgekit push" in said(capsys, "artifacts", "local:")


@pytest.mark.peer
class TestConsole:
    def test_there_and_back(
        self, console_device: str, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A board that has nothing but a serial console: what it is, an update, another, and back."""
        assert main(["devices", "add", "board", console_device]) == 0
        assert main(["devices", "probe", "board"]) == 0
        assert "Linux" in capsys.readouterr().out
        old, new = (make_payload(bytes([seed]) * 5_000) for seed in (1, 2))
        for artifact in (old, new):
            assert "payload pushed: " in said(capsys, "push", str(artifact.path), "--device", "board")
        assert f"payload is back at {old.id[:12]}" in said(capsys, "rollback", "payload", "board")


@pytest.mark.peer
class TestMany:
    @pytest.fixture
    def lab(self, ssh_server: SshServer, ssh_device: str, project: Path) -> Path:
        """Four boards, of which the third does not answer; all but the first are `new`."""
        assert ssh_device
        lines = []
        for number in range(4):
            port = 1 if number == 2 else 0
            url = f"{ssh_server.url_at(f'127.0.0.{number + 1}', port)}?home={project.parent}/board{number}"
            tags = '["lab", "new"]' if number else '["lab"]'
            lines.append(f'[devices.board{number}]\nurl = "{url}&python={sys.executable}"\ntags = {tags}\n')
        project.write_text("\n".join(lines))
        return project.parent

    def test_one_that_is_dead_stops_no_other(
        self, lab: Path, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Three results, one error with its next step; the exit code tells."""
        path = str(make_payload(bytes(5_000)).path)
        words = said(capsys, "push", path, "--device", "group:lab", code=3)
        assert [f"board{number}: payload pushed" in words for number in range(4)] == [True, True, False, True]
        assert "board2: Nothing answers at" in words
        assert "next: Is sshd running there" in words
        assert len(list(lab.glob("board*/artifacts/payload/current"))) == 3

    def test_by_name_group_and_url_each_once(
        self, lab: Path, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """However often it is named."""
        assert lab
        path = str(make_payload(bytes(5_000)).path)
        argv = ["push", path, "--device", "board1", "--device", "group:new", "--device", "local:", "--jobs", "2"]
        answer = told(capsys, *argv, code=3)
        assert [item["device"] for item in answer["devices"]] == ["board1", "board3", "local:"]
        assert [item["device"] for item in answer["failures"]] == ["board2"]

    def test_back_on_all(self, lab: Path, make_payload: MakePayload, capsys: pytest.CaptureFixture[str]) -> None:
        """A release that went wrong."""
        assert lab
        old, new = (make_payload(bytes([seed]) * 5_000) for seed in (1, 2))
        alive = [word for number in (0, 1, 3) for word in ("--device", f"board{number}")]
        for artifact in (old, new):
            told(capsys, "push", str(artifact.path), *alive)
        answer = told(capsys, "rollback", "payload", "board0", "board1", "board3")
        assert {item["version"]["id"] for item in answer["devices"]} == {old.id}

    @pytest.mark.slow
    def test_measured_on_all(
        self, lab: Path, make_artifact: MakeArtifact, linear_tflite: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A table for each device; three results and one error."""
        assert lab
        path = str(make_artifact(linear_tflite).path)
        short = ["--repeat", "2", "--min-time", "20ms"]
        words = said(capsys, "bench", path, "--device", "group:lab", *short, code=3)
        assert words.count("tflite fp32") == 3
        assert words.count("Where: ssh://") == 3
        assert "board2: Nothing answers at" in words
        answer = told(capsys, "bench", path, "--device", "group:lab", *short, code=3)
        assert len(answer["runs"]) == len(answer["recommendations"]) == 3
        assert len(answer["failures"]) == 1
