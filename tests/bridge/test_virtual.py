"""Virtual devices: made, started, reached, stopped, removed; each of them apart from the others."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import DeviceError, EdgekitError, UsageError
from edgekit.probing import probe
from edgekit.progress import SilentProgress
from edgekit_bridge.virtual import devices, record
from edgekit_cli.main import main
from models.linear import layers_artifact

SILENT = SilentProgress()


def run(url: str, *argv: str) -> bytes:
    """What a program on the device writes."""
    with catalog.transport("virtual").open(parse_device(url), timeout_s=20) as link:
        return link.run(argv, timeout_s=60).stdout.strip()


def error(*argv: str, capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """What the command line says of what is wrong."""
    assert main(["virtual", *argv]) == code
    return capsys.readouterr().err


class TestRefusals:
    def test_a_target_that_is_no_arm64_linux(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing is made for it."""
        assert "virtual devices are aarch64 linux" in error("create", "pc", "--target", "linux-x86_64", capsys=capsys)
        assert "virtual devices are aarch64 linux" in error("create", "ph", "--target", "android-armv7", capsys=capsys)
        board = error("create", "ph", "--target", "android-arm64", "--kind", "board", capsys=capsys)
        assert "There is no whole phone" in board
        assert "There is no target" in error("create", "x", "--target", "raspberypi4", capsys=capsys)

    @pytest.mark.parametrize("name", ["../up", "Pi 4", "", "ssh:", "-x", "a/b"])
    def test_a_name_that_is_none(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """A name is a folder's too."""
        assert "cannot be a device's name" in error("create", "--target", "raspberrypi4", "--", name, capsys=capsys)

    @pytest.mark.parametrize("verb", ["start", "stop", "remove"])
    def test_a_device_that_is_not_there(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        """With how to make it."""
        said = error(verb, "pi9", capsys=capsys)
        assert "There is no virtual device 'pi9'" in said
        assert "edgekit virtual create pi9" in said

    def test_programs_that_are_missing_are_named_at_once(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All of them, with the packages that bring them."""
        monkeypatch.setattr("edgekit_bridge.virtual.needs.find_program", lambda _: None)
        said = error("create", "pi", "--target", "raspberrypi4", "--kind", "board", capsys=capsys)
        assert "mmdebstrap, ssh, ssh-keygen, qemu-system-aarch64, mke2fs, debugfs and cpio" in said
        assert "apt install mmdebstrap openssh-client qemu-system-arm e2fsprogs cpio" in said
        assert list(tmp_path.iterdir()) == []

    def test_a_kernel_that_is_too_old(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A whole board needs nothing of it."""
        monkeypatch.setattr("edgekit_bridge.virtual.needs.find_program", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr("platform.release", lambda: "6.1.0-18-amd64")
        said = error("create", "pi", "--target", "raspberrypi4", capsys=capsys)
        assert "needs Linux 6.7 or newer" in said
        assert "--kind board" in said

    def test_a_damaged_record(self) -> None:
        """It can still be removed by hand; it hides no other."""
        folder = Path(os.environ["EDGEKIT_DATA"]) / "virtual" / "odd"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text("{")
        with pytest.raises(UsageError, match="cannot be read"):
            record.load("odd")
        assert list(devices.every()) == []

    def test_a_url_of_none(self) -> None:
        """As any device that cannot be reached."""
        with pytest.raises(DeviceError, match="There is no virtual device"):
            run("virtual:pi9", "true")


def test_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Says how to get one."""
    assert main(["virtual", "list"]) == 0
    assert "edgekit virtual create" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.peer
class TestUserland:
    def test_it_is_what_it_looks_like(self, pi4: str) -> None:
        """Architecture, board, cores and governor are the target's, and it is known to be emulated."""
        facts = probe(pi4)
        assert (facts.machine, facts.kind, facts.cores) == ("aarch64", "emulated", len(os.sched_getaffinity(0)))
        assert (facts.model, facts.cpu, facts.governor) == ("Raspberry Pi 4 Model B", "Cortex-A72", ("ondemand",))
        assert facts.temperature_c == {"cpu-thermal": 48.312}

    def test_its_own_hostname_and_nothing_of_the_host(self, pi4: str) -> None:
        """Neither files nor processes of this machine are visible there."""
        assert run(pi4, "cat", "/proc/sys/kernel/hostname") == b"pi4"
        assert not Path(run(pi4, "sh", "-c", "echo /home/*").decode()).is_file()
        assert len(run(pi4, "ps", "-e").splitlines()) < 30

    def test_starting_twice_is_no_harm(self, pi4: str) -> None:
        """It runs already."""
        before = record.running(record.load("pi4"))
        devices.start("pi4", SILENT)
        assert record.running(record.load("pi4")) == before
        assert run(pi4, "uname", "-m") == b"aarch64"

    def test_it_counts_no_instructions(self, pi4: str) -> None:
        """Only a board has a clock of its own."""
        assert pi4
        with pytest.raises(UsageError, match="only a board counts instructions"):
            devices.start("pi4", SILENT, clock="instructions")

    def test_a_taken_name_is_refused(self, pi4: str) -> None:
        """The one that has it stays."""
        with pytest.raises(UsageError, match="already"):
            devices.create("pi4", "raspberrypi5", "userland", SILENT)
        assert run(pi4, "true") == b""


@pytest.fixture
def second(pi4: str) -> Iterator[str]:
    """A device of the test's own beside the one that all share."""
    assert pi4
    devices.create("second", "raspberrypi5", "userland", SILENT)
    try:
        devices.start("second", SILENT)
        yield "virtual:second"
    finally:
        devices.remove("second")


@pytest.mark.slow
@pytest.mark.peer
class TestLife:
    def test_devices_share_no_files_and_keep_their_own(self, pi4: str, second: str) -> None:
        """What one has written, the other has not; and it is there after a stop."""
        run(second, "sh", "-c", "echo mine > /etc/mine")
        assert run(pi4, "sh", "-c", "cat /etc/mine || true") == b""
        devices.stop("second")
        with pytest.raises(DeviceError, match="is not running") as caught:
            run(second, "true")
        assert "edgekit virtual start second" in caught.value.hint
        devices.start("second", SILENT)
        assert run(second, "cat", "/etc/mine") == b"mine"

    def test_stopping_leaves_nothing(self, second: str) -> None:
        """No process of it is left, no mount; stopping again is no harm."""
        folder = record.load("second").folder
        assert second
        devices.stop("second")
        devices.stop("second")
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert [command for command in commands if str(folder).encode() in command] == []
        assert str(folder) not in Path("/proc/mounts").read_text()

    def test_one_that_died_is_seen_as_stopped(self, second: str, capsys: pytest.CaptureFixture[str]) -> None:
        """By its process, not by what was written down."""
        runs = record.running(record.load("second"))
        assert runs is not None
        os.kill(runs.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while record.running(record.load("second")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert main(["virtual", "list"]) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("second")]
        assert line.endswith("stopped")
        with pytest.raises(DeviceError, match="is not running"):
            run(second, "true")

    def test_one_that_does_not_come_up_says_why(self, second: str) -> None:
        """With what its server wrote; and it is not left half started."""
        assert second
        devices.stop("second")
        config = record.load("second").folder / "upper/etc/ssh/edgekit_sshd_config"
        text = config.read_text()
        config.write_text("NoSuchOption yes\n")
        with pytest.raises(EdgekitError, match="NoSuchOption"):
            devices.start("second", SILENT)
        assert record.running(record.load("second")) is None
        config.write_text(text)


@pytest.mark.slow
@pytest.mark.peer
class TestBoard:
    def test_it_is_a_machine_of_its_own(self, counter: str) -> None:
        """With its own kernel, and known to be emulated."""
        facts = probe(counter)
        assert (facts.machine, facts.kind) == ("aarch64", "emulated")
        assert "cloud-arm64" in facts.kernel

    def test_it_keeps_to_one_clock(self, counter: str) -> None:
        """One that counts does not tell time as well."""
        assert counter
        with pytest.raises(UsageError, match="runs by the clock instructions"):
            devices.start("counter", SILENT, clock="wall")

    def test_two_percent_more_work_is_told_apart(
        self, counter: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Two runs of one artifact count alike; one layer of 49 more is seen."""
        assert main(["provision", counter, "--runtime", "litert"]) == 0
        paths = [str(layers_artifact(tmp_path / f"{count}.edgekit", count).path) for count in (49, 49 + 1)]
        ids = []
        for path in (paths[0], paths[0], paths[1]):
            capsys.readouterr()
            how = ["--clock", "instructions", "--repeat", "2", "--json"]
            assert main(["bench", path, "--device", counter, *how]) == 0
            (run,) = json.loads(capsys.readouterr().out)["runs"]
            ids.append(run["id"])
        assert main(["compare", ids[0], ids[1], "--fail-if", "median > +0.5%"]) == 0
        assert main(["compare", ids[0], ids[2], "--fail-if", "median > +1.5%"]) == 1
        said = capsys.readouterr().out
        assert "More instructions" in said
        assert " ms" not in said

    def test_time_is_not_measured_there(self, counter: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A clock that counts instructions would be taken for one that tells time."""
        path = layers_artifact(tmp_path / "a.edgekit", 1).path
        assert main(["bench", str(path), "--device", counter]) != 0
        assert "clock instructions" in capsys.readouterr().out

    def test_what_was_pushed_outlives_a_power_cut(self, counter: str, tmp_path: Path) -> None:
        """Killed without a word, as by pulling the plug."""
        file = tmp_path / "file"
        file.write_bytes(os.urandom(100_000))
        with catalog.transport("virtual").open(parse_device(counter), timeout_s=20) as link:
            link.push(file, PurePosixPath("/var/file"), SILENT)
        runs = record.running(record.load("counter"))
        assert runs is not None
        os.kill(runs.pid, signal.SIGKILL)
        os.waitpid(runs.pid, 0)
        devices.start("counter", SILENT, clock="instructions")
        assert run(counter, "sh", "-c", "wc -c </var/file") == b"100000"
