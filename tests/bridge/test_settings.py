"""What the harness sets on a device while it measures, and that it is set back however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.device import parse_device
from edgekit_bridge.harness import on_device

PROGRAM = Path(on_device.__file__)
CPU = "sys/devices/system/cpu"
WAIT_S = 20.0

HOLDING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in the background ignores it
sys.path.insert(0, {folder!r})
import on_device
with on_device.governed("performance", {root!r}):
    print("set", flush=True)
    time.sleep(60)
"""

HARNESS = """
import sys
sys.path.insert(0, {folder!r})
import on_device
on_device.ROOT = {root!r}
on_device.main()
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """The root of a device with two groups of cores, of which each has a governor of its own."""
    root = tmp_path / "root"
    for policy, governor in (("policy0", "schedutil"), ("policy4", "ondemand")):
        folder = root / CPU / "cpufreq" / policy
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
        (folder / "scaling_available_governors").write_text("performance schedutil ondemand \n")
    for core, policy in ((0, "policy0"), (4, "policy4")):
        (root / CPU / f"cpu{core}").mkdir()
        (root / CPU / f"cpu{core}" / "cpufreq").symlink_to(f"../cpufreq/{policy}")
    return root


def governors(root: Path) -> list[str]:
    """What each group has now."""
    return [path.read_text().strip() for path in sorted((root / CPU).glob("cpufreq/*/scaling_governor"))]


def become(root: Path, wanted: list[str]) -> list[str]:
    """What each group has, once it is what is wanted, or some seconds are over."""
    deadline = time.monotonic() + WAIT_S
    while governors(root) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return governors(root)


BEFORE = ["schedutil", "ondemand"]


@pytest.fixture
def holding(device: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has set the governor, in a session of its own, as transports start programs."""
    code = HOLDING.format(folder=str(PROGRAM.parent), root=str(device))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"set\n"
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_the_governor_is_set_and_set_back(device: Path) -> None:
    """Each group gets back the one that it had."""
    with on_device.governed("performance", str(device)):
        assert governors(device) == ["performance", "performance"]
    assert governors(device) == BEFORE


def test_an_error_inside_sets_it_back(device: Path) -> None:
    """And passes through."""
    with pytest.raises(ZeroDivisionError), on_device.governed("performance", str(device)):
        raise ZeroDivisionError
    assert governors(device) == BEFORE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_the_harness_sets_it_back(
    device: Path, holding: "subprocess.Popen[bytes]", number: signal.Signals
) -> None:
    """Even one that it cannot see coming: the guard outlives it."""
    assert governors(device) == ["performance", "performance"]
    holding.send_signal(number)
    assert become(device, BEFORE) == BEFORE
    assert holding.wait(WAIT_S) != 0


def test_killing_the_whole_process_group_sets_it_back(device: Path, holding: "subprocess.Popen[bytes]") -> None:
    """As a transport does when its link is lost: the guard is in a session of its own."""
    os.killpg(holding.pid, signal.SIGKILL)
    assert become(device, BEFORE) == BEFORE


def test_the_guard_holds_nothing_of_the_harness(holding: "subprocess.Popen[bytes]") -> None:
    """Who reads the harness's output sees its end when the harness is gone, not when the guard is."""
    (guard,) = children(holding.pid)
    opened = {str(link.readlink()) for link in Path(f"/proc/{guard}/fd").iterdir()}
    assert {path.split(":")[0] for path in opened} == {"/dev/null", "pipe"}
    assert len([path for path in opened if path.startswith("pipe")]) == 1


def test_the_guard_takes_no_time(holding: "subprocess.Popen[bytes]") -> None:
    """It sleeps in one read until the end."""
    (guard,) = children(holding.pid)
    deadline = time.monotonic() + WAIT_S
    while state_and_time(guard)[0] != "S" and time.monotonic() < deadline:
        time.sleep(0.01)  # it is still on its way there
    before, switches = state_and_time(guard), voluntary_switches(guard)
    time.sleep(0.5)
    assert state_and_time(guard) == before == ("S", *before[1:])
    assert voluntary_switches(guard) == switches


def state_and_time(pid: int) -> tuple[str, ...]:
    """A process' state, and its ticks as a user's and as the kernel's (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], *fields[11:13]


def voluntary_switches(pid: int) -> str:
    """How often a process went to sleep."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("voluntary_ctxt_switches"))


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_guard_is_stood_in_for(device: Path) -> None:
    """The harness sets back by itself what a guard that is gone cannot."""
    others = children(os.getpid())
    with on_device.governed("performance", str(device)):
        (guard,) = set(children(os.getpid())).difference(others)
        os.kill(guard, signal.SIGKILL)
    assert governors(device) == BEFORE


def test_without_a_guard_nothing_is_set(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that cannot start is told before anything is written."""
    monkeypatch.setattr(os, "setsid", lambda: 1 / 0)
    unguarded = on_device.governed("performance", str(device))
    with pytest.raises(on_device.HarnessError, match="No process could be started"), unguarded:
        pass
    assert governors(device) == BEFORE


def test_an_unknown_governor_is_refused_with_those_that_there_are(device: Path) -> None:
    """Before anything is written."""
    wrong = on_device.governed("fastest", str(device))
    with pytest.raises(on_device.HarnessError, match="it has performance, schedutil, ondemand") as caught, wrong:
        pass
    assert caught.value.kind == "no-governor"
    assert governors(device) == BEFORE


def test_a_device_without_governors_is_told(tmp_path: Path) -> None:
    """Virtual machines have none."""
    nowhere = on_device.governed("performance", str(tmp_path))
    with pytest.raises(on_device.HarnessError, match="has no cpufreq"), nowhere:
        pass


def test_what_may_not_be_written_is_told_and_undone(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first group was set already; it is set back."""
    opened = open

    def refuse(path: Any, mode: str = "r", **options: Any) -> Any:
        if "w" in mode and "policy4" in str(path):
            raise PermissionError(13, "Permission denied")
        return opened(path, mode, **options)

    monkeypatch.setattr("builtins.open", refuse)
    refused = on_device.governed("performance", str(device))
    with pytest.raises(on_device.HarnessError, match=r"policy4.*Permission denied") as caught, refused:
        pass
    assert caught.value.kind == "governor"
    assert governors(device) == BEFORE


def test_a_device_that_has_it_already_needs_no_permission(device: Path) -> None:
    """Nothing is written, and nothing set back."""
    for path in (device / CPU).glob("cpufreq/*/scaling_governor"):
        path.write_text("performance\n")
    others = children(os.getpid())
    with on_device.governed("performance", str(device)):
        assert children(os.getpid()) == others
        assert [path.read_text() for path in (device / CPU).glob("cpufreq/*/scaling_governor")] == ["performance\n"] * 2


def test_an_old_kernel_keeps_governors_by_core(tmp_path: Path) -> None:
    """Without policies, each core is set."""
    for core in (0, 1, 10):
        folder = tmp_path / CPU / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("interactive\n")
    found = on_device.governor_files(str(tmp_path))
    assert [path.split("/cpu/")[1] for path in found] == [f"cpu{core}/cpufreq/scaling_governor" for core in (0, 1, 10)]


class TestCores:
    def test_only_these_are_used(self) -> None:
        """And all that there were afterwards."""
        every = on_device.affinity()
        with on_device.on_cores([every[0]]):
            assert on_device.affinity() == [every[0]]
        assert on_device.affinity() == every

    def test_a_core_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        """With those that are on."""
        (tmp_path / CPU).mkdir(parents=True)
        (tmp_path / CPU / "online").write_text("0-1,4\n")
        with pytest.raises(on_device.HarnessError, match=r"no core 2, 9 here; it has 0, 1, 4\."):
            on_device.use_cores([0, 2, 9], str(tmp_path))

    def test_a_core_that_may_not_be_used_is_refused(self, tmp_path: Path) -> None:
        """One that is on, by the kernel's list, and that the kernel does not give us."""
        every = on_device.affinity()
        (tmp_path / CPU).mkdir(parents=True)
        (tmp_path / CPU / "online").write_text("0-1023\n")
        try:
            with pytest.raises(on_device.HarnessError) as caught:
                on_device.use_cores([every[0], 1000], str(tmp_path))
        finally:
            os.sched_setaffinity(0, every)
        assert caught.value.kind == "affinity"


MakeArtifact = Callable[..., Artifact]


@pytest.mark.slow
class TestHarness:
    @pytest.fixture(autouse=True)
    def _harness(self, device: Path, tmp_path: Path) -> None:
        self.device = device
        self.program = tmp_path / "harness.py"
        self.program.write_text(HARNESS.format(folder=str(PROGRAM.parent), root=str(device)))

    def last(self, artifact: Artifact, **schedule: Any) -> dict[str, Any]:
        """The last event of a harness on this device that measures with this schedule."""
        manifest = artifact.manifest
        job = {
            "job_version": on_device.JOB_VERSION,
            "mode": "measure",
            "format": manifest.format,
            "model": str(artifact.model),
            "golden": str(artifact.golden),
            "inputs": [{"name": "x", "shape": [1, 4], "dtype": "float32"}],
            "outputs": [{"name": "y", "shape": [1, 3], "dtype": "float32"}],
            "engine": "",
            "threads": 1,
            "schedule": {"mode": "single-stream", "delegate": "default", "min_time_s": 0.01, "min_samples": 5}
            | {"max_samples": 1000, "warmup_s": 0.01, "period_s": 0.0}
            | schedule,
        }
        done = subprocess.run(
            [sys.executable, self.program, "-"], input=json.dumps(job), capture_output=True, text=True, check=False
        )
        event: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return event

    def test_a_run_tells_the_governor_and_the_cores_that_it_had(
        self, make_artifact: MakeArtifact, linear_tflite: Path
    ) -> None:
        """Those that were set, not those that were there before."""
        core = on_device.affinity()[-1]
        told = self.last(make_artifact(linear_tflite), governor="performance", affinity=[core])
        environment = told["environment"]
        assert environment["before"]["governor"] == environment["after"]["governor"] == ["performance"] * 2
        assert (environment["affinity"], environment["cores"]) == ([core], 1)
        assert governors(self.device) == BEFORE

    def test_a_model_that_does_not_load_sets_it_back(self, make_artifact: MakeArtifact, tmp_path: Path) -> None:
        """The error is the model's."""
        (tmp_path / "bad.tflite").write_bytes(b"garbage" * 100)
        told = self.last(make_artifact(tmp_path / "bad.tflite"), governor="performance")
        assert told["kind"] == "bad-model"
        assert governors(self.device) == BEFORE

    @pytest.mark.parametrize(
        ("schedule", "kind"), [({"governor": "x"}, "no-governor"), ({"affinity": [999]}, "affinity")]
    )
    def test_what_cannot_be_set_ends_it(
        self, make_artifact: MakeArtifact, linear_tflite: Path, schedule: dict[str, Any], kind: str
    ) -> None:
        """Before anything is measured."""
        assert self.last(make_artifact(linear_tflite), **schedule)["kind"] == kind


class Enough(Exception):  # noqa: N818 - not an error
    """Ends a program from its reader's side."""


@pytest.mark.peer
def test_a_link_that_ends_sets_it_back(device: Path, ssh_device: str) -> None:
    """The client is gone, sshd closes the session, its process group is killed: the guard is left."""

    def leave(line: bytes) -> None:
        assert line == b"set"
        assert governors(device) == ["performance", "performance"]
        raise Enough

    code = HOLDING.format(folder=str(PROGRAM.parent), root=str(device))
    with catalog.transport("ssh").open(parse_device(ssh_device), timeout_s=5) as link, pytest.raises(Enough):
        link.run([sys.executable, "-c", code], timeout_s=60, on_line=leave)
    assert become(device, BEFORE) == BEFORE
