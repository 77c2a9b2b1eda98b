"""The whole way on emulated phones, by the command line: the real adb and adbd, and a stand-in for benchmark_model.

The stand-in has LiteRT execute models in the arm64 userland, by a Python that edgekit does not see there.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.device import parse_device
from edgekit.progress import SilentProgress
from edgekit_bridge.virtual import devices
from edgekit_cli.main import main
from models.linear import MakeArtifact
from peers.programs import MakeProgram

pytestmark = [pytest.mark.slow, pytest.mark.peer]

HIDDEN = "/usr/bin/env -S PYTHONPATH=/data/local/tmp/edgekit/runtimes/litert/current /usr/bin/python3"
SHORT = ["--repeat", "1", "--min-time", "0.2s"]


def shell(url: str, *argv: str) -> str:
    """What a program on the phone writes."""
    with catalog.transport("adb").open(parse_device(url), timeout_s=5) as link:
        return link.run(argv, timeout_s=30).stdout.decode().strip()


@pytest.fixture
def program(make_program: MakeProgram) -> Path:
    """The stand-in."""
    return make_program("benchmark_model", interpreter=HIDDEN)


@pytest.fixture
def artifact(phone: str, program: Path, linear_tflite: Path, make_artifact: MakeArtifact) -> Artifact:
    """An artifact, and all that the phone needs for it."""
    assert main(["provision", f"{phone}?python=/usr/bin/python3", "--runtime", "litert"]) == 0
    assert main(["provision", phone, "--runtime", "benchmark_model", "--from", str(program)]) == 0
    return make_artifact(linear_tflite)


@pytest.fixture
def tell(phone: str) -> Iterator[Callable[[str, str, str], None]]:
    """Changes what the phone says of itself, for as long as the test lasts."""
    before = {what: shell(phone, "cat", f"/data/system/{what}") for what in ("battery", "thermalservice")}

    def change(what: str, old: str, new: str) -> None:
        shell(phone, "sed", "-i", f"s/{old}/{new}/", f"/data/system/{what}")

    yield change
    for what, text in before.items():
        shell(phone, "sh", "-c", 'printf "%s\n" "$1" > "$2"', "sh", text, f"/data/system/{what}")


def bench(phone: str, artifact: Artifact, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """The only run."""
    capsys.readouterr()
    assert main(["bench", str(artifact.path), "--device", phone, *SHORT, "--json", *options]) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    return {**found["run"], "verdict": found["verdict"]}


def test_a_run(phone: str, artifact: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    """Golden vectors pass there, by benchmark_model, on a device that has no Python; nothing of it stays."""
    run = bench(phone, artifact, capsys, "--operators", "--cores", "0")
    assert run["golden"]["passed"]
    assert run["environment"]["kind"] == "emulated"
    assert run["environment"]["machine"] == "aarch64"
    assert run["environment"]["board"] == "edgekit Emulated phone"
    assert run["runtime"].startswith("benchmark_model ")
    assert "untested on hardware" in run["method"]
    assert run["environment"]["before"]["battery_percent"] == 85
    assert run["environment"]["after"]["thermal_status"] == 0
    assert run["operators"][0]["name"].startswith("FULLY_CONNECTED")
    assert shell(phone, "settings", "get", "global", "stay_on_while_plugged_in") == "null"
    assert shell(phone, "cat", "/data/system/wakefulness") == "Asleep"
    left = shell(phone, "ls", "/data/local/tmp/edgekit").split()
    assert {"artifacts", "lock", "programs", "runtimes"} <= set(left)
    assert not [name for name in left if name == "work" or name.startswith("awake")]
    assert "benchmark_model" not in shell(phone, "ps")


def test_push_with_a_check(phone: str, artifact: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    """Golden vectors decide about the switch."""
    capsys.readouterr()
    assert main(["push", str(artifact.path), "--device", phone, "--check"]) == 0
    assert main(["artifacts", phone]) == 0
    assert "in use" in capsys.readouterr().out


def test_an_empty_battery(
    phone: str, artifact: Artifact, tell: Callable[[str, str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Is refused, and what was set is as before; one that is being charged is doubted."""
    tell("battery", "level: 85", "level: 7")
    assert main(["bench", str(artifact.path), "--device", phone, *SHORT]) == 3
    assert "is at 7 %: Android saves power there" in " ".join(capsys.readouterr().out.split())
    assert shell(phone, "cat", "/data/system/wakefulness") == "Asleep"
    tell("battery", "status: 3", "status: 2")
    assert bench(phone, artifact, capsys)["verdict"]["kind"] == "charging"


def test_two_phones(phone: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are found; one must be named."""
    devices.create("second", "android-arm64", "userland", SilentProgress())
    try:
        other = f"adb://127.0.0.1:{devices.start('second', SilentProgress()).port}"
        assert shell(other, "getprop", "ro.build.version.sdk") == "34"
        assert main(["devices", "discover", "--timeout", "1ms", "--json"]) == 0
        found = {item["url"] for item in json.loads(capsys.readouterr().out)["findings"]}
        assert {phone, other} <= found
        assert main(["push", __file__, "--device", "adb:"]) == 2
        assert main(["devices", "probe", "adb:"]) == 3
        shown = " ".join(capsys.readouterr().err.split())
        assert "Several devices are connected" in shown
        assert "--device adb://SERIAL" in shown
    finally:
        devices.remove("second")
    listed = subprocess.run(["adb", "devices"], capture_output=True, text=True, check=True).stdout
    assert other.removeprefix("adb://") not in listed
