"""`adb:` against the real client, its server and the real adbd; what those cannot show, by the client's own words."""

import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.deployment import artifacts, push, rollback
from edgekit.device import parse_device
from edgekit.errors import DeviceError
from edgekit.inventory import Device
from edgekit.probing import probe, propose_target
from edgekit.progress import SilentProgress
from edgekit_bridge.transports import program
from edgekit_bridge.update import deliver
from edgekit_bridge.virtual import devices
from models.linear import MakePayload
from peers.proxy import Proxy, until_done

CUTS = 60
KILLS = 20


def run(url: str, *argv: str) -> bytes:
    """What a program on the device writes."""
    with catalog.transport("adb").open(parse_device(url), timeout_s=5) as link:
        return link.run(argv, timeout_s=30).stdout


def refusal(url: str) -> DeviceError:
    """How reaching it fails."""
    with pytest.raises(DeviceError) as caught:
        run(url, "true")
    return caught.value


class TestWords:
    """A client that says what adb says, since nothing here is a phone that a user has not unlocked."""

    @pytest.fixture
    def adb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Puts an adb on PATH that fails with these words, and lists two devices."""
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

        def make(words: str) -> None:
            script = folder / "adb"
            listed = "List of devices attached\\nABC123\\tdevice\\n192.0.2.7:5555\\tdevice\\n"
            script.write_text(
                f"#!/bin/sh\ncase $* in *devices*) printf '{listed}' ;; *) echo \"{words}\" >&2; exit 1 ;; esac\n"
            )
            script.chmod(0o755)

        return make

    @pytest.mark.parametrize(
        ("words", "cause", "step"),
        [
            ("error: device unauthorized.", "ABC has not allowed this computer", "Allow USB debugging"),
            ("error: device offline", "ABC is connected, and does not answer", "adb reconnect offline"),
            ("error: device 'ABC' not found", "ABC is not connected. Connected: ABC123, 192.0.2.7:5555.", "USB debug"),
            ("error: insufficient permissions for device: user in plugdev group", "may not use ABC over USB", "udev"),
            ("error: no devices/emulators found", "No Android device is connected", "Developer options"),
            ("error: more than one device/emulator", "Several devices are connected: ABC123, 192", "adb://SERIAL"),
            ("* failed to start daemon", "adb's server does not run", "adb kill-server"),
            ("error: closed", "The connection to ABC broke", "Try again"),
            ("something that nobody has seen", "something that nobody has seen", "adb devices -l"),
        ],
    )
    def test_each_has_its_cause_and_next_step(
        self, words: str, cause: str, step: str, adb: Callable[[str], None]
    ) -> None:
        """In words for whoever holds the phone."""
        adb(words)
        error = refusal("adb://ABC")
        assert cause in error.cause
        assert step in error.hint

    def test_no_adb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """How to get one, by each of the ways."""
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setitem(__import__("sys").modules, "adbutils", None)
        error = refusal("adb://ABC")
        assert "There is no adb" in error.cause
        assert all(way in error.hint for way in ("apt install adb", "platform-tools", "pip install adbutils"))

    @pytest.mark.peer
    def test_a_network_address_where_nothing_is(self) -> None:
        """It may come back."""
        error = refusal("adb://127.0.0.1:1")
        assert "127.0.0.1:1 cannot be connected to" in error.cause
        assert error.transient


def test_a_serial_number_keeps_its_capitals() -> None:
    """As no host would; adb knows the device by them."""
    assert parse_device("adb://R58M12ABC?home=/data/x").host == "R58M12ABC"
    assert str(parse_device("adb://192.0.2.7:5555")) == "adb://192.0.2.7:5555"


@pytest.mark.slow
@pytest.mark.peer
class TestPhone:
    def test_what_it_is(self, phone: str) -> None:
        """By a shell: a phone has no Python."""
        facts = probe(phone)
        assert (facts.machine, facts.kind, facts.python) == ("aarch64", "emulated", None)
        assert (facts.model, facts.os) == ("edgekit Emulated phone", "Android 14 (API 34, patched 2024-01-05)")
        assert propose_target(Device(name="phone", url=phone), facts).target == "android-arm64"

    def test_an_update_and_back(self, phone: str, make_payload: MakePayload) -> None:
        """The contract of a push over SSH."""
        data = random.Random(0).randbytes(1_000_000)  # noqa: S311 - not for secrets
        old, new = make_payload(data), make_payload(b"inserted" + data)
        assert push(old, device=phone).sent_bytes > 1_000_000
        assert push(new, device=phone).sent_bytes < 200_000
        assert content(phone, new) == (new.path / "model.tflite").read_bytes()
        assert push(new, device=phone).sent_bytes == 0
        assert rollback("payload", device=phone).id == old.id
        assert [version.id for version in artifacts(phone)["payload"] if version.current] == [old.id]

    def test_nothing_is_left_behind(self, phone: str, make_payload: MakePayload) -> None:
        """Neither a process nor a file beside the versions."""
        push(make_payload(b"x" * 1_000), device=phone)
        left = run(phone, "sh", "-c", "cd /data/local/tmp && ls . && cd edgekit && ls . artifacts/payload | grep -v :")
        found = set(left.decode().split()) - {"programs", "runtimes"}
        assert found == {"edgekit", "artifacts", "lock", "current", "history", "versions"}
        assert b"dd " not in run(phone, "ps")

    def test_one_that_was_stopped_is_forgotten(self, phone: str) -> None:
        """Adb's server would list it as offline."""
        assert phone
        devices.create("gone", "android-arm64", "userland", SilentProgress())
        try:
            port = devices.start("gone", SilentProgress()).port
            assert str(port) in adb_devices()
        finally:
            devices.remove("gone")
        assert str(port) not in adb_devices()

    def test_no_python_is_no_surprise(self, phone: str) -> None:
        """With what can be done all the same."""
        with (
            catalog.transport("adb").open(parse_device(phone), timeout_s=5) as link,
            pytest.raises(DeviceError, match="has no python3") as caught,
        ):
            link.python()
        assert "benchmark_model measures there" in caught.value.hint


def adb_devices() -> str:
    """What adb's server knows of."""
    return subprocess.run(["adb", "devices"], capture_output=True, text=True, check=True).stdout


def content(url: str, artifact: Artifact) -> bytes:
    """The model in use."""
    assert artifact
    return run(url, "cat", "/data/local/tmp/edgekit/artifacts/payload/current/model.tflite")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tries follow each other quickly, and silence is soon suspicious."""
    monkeypatch.setattr(deliver, "_PAUSE_S", 0.1)
    monkeypatch.setattr(program, "SILENCE_S", 2.0)
    yield
    for line in adb_devices().splitlines():
        if "offline" in line:
            subprocess.run(["adb", "disconnect", line.split()[0]], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.faults
@pytest.mark.usefixtures("impatient")
class TestFaults:
    def test_links_cut_at_random_bytes(
        self, phone: str, make_payload: MakePayload, tries: Callable[[int], int]
    ) -> None:
        """Every push ends with the right bytes; what was in use stays until then."""
        chance = random.Random(1)  # noqa: S311 - not for secrets
        for _ in range(tries(CUTS)):
            new = make_payload(chance.randbytes(500_000))
            with Proxy(parse_device(phone).port or 0, rate=4e6) as proxy:
                proxy.cut_after(chance.randrange(550_000))
                until_done(lambda: push(new, device=f"adb://127.0.0.1:{proxy.port}"))  # noqa: B023
            assert content(phone, new) == (new.path / "model.tflite").read_bytes()

    @pytest.mark.parametrize("whose", ["server", "adbd"])
    def test_one_that_is_killed(
        self, phone: str, make_payload: MakePayload, whose: str, tries: Callable[[int], int]
    ) -> None:
        """The server here, as by another program's adb of another version; adbd there, as by Android when it likes."""
        shell = ["adb", "-s", phone.removeprefix("adb://"), "shell", "pkill -KILL adbd"]
        kill = {"server": ["adb", "kill-server"], "adbd": shell}[whose]
        chance = random.Random(2)  # noqa: S311 - not for secrets
        for _ in range(tries(KILLS)):
            new = make_payload(chance.randbytes(500_000))
            killer = threading.Timer(chance.uniform(0.2, 1), subprocess.run, (kill,), {"capture_output": True})
            killer.start()
            until_done(lambda: push(new, device=phone))  # noqa: B023
            killer.join()
            assert content(phone, new) == (new.path / "model.tflite").read_bytes()

    def test_a_cable_that_is_pulled(self, phone: str) -> None:
        """Adb would wait forever, and list the device on; we say so."""
        with Proxy(parse_device(phone).port or 0) as proxy:
            url = parse_device(f"adb://127.0.0.1:{proxy.port}")
            with catalog.transport("adb").open(url, timeout_s=5) as link:
                threading.Timer(0.5, proxy.freeze).start()
                with pytest.raises(DeviceError, match="does not answer any more") as caught:
                    link.run(["sleep", "100"], timeout_s=90)
        assert caught.value.transient
        assert run(phone, "true") == b""


def test_silence_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that says nothing is left alone while the other end answers."""
    monkeypatch.setattr(program, "SILENCE_S", 0.1)
    asked = []
    argv = ["sh", "-c", "sleep 0.5; echo done"]
    done = program.run_program(argv, stdin=b"", timeout_s=5, on_line=None, on_silence=lambda: asked.append(1))
    assert done.stdout == b"done\n"
    assert len(asked) >= 2
