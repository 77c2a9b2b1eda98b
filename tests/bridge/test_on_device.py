"""The harness's own program: what it needs, what it refuses, how it times, what it reads of a machine."""

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit_bridge.harness import on_device

PROGRAM = Path(on_device.__file__)
PI4 = {
    "proc/cpuinfo": "\n".join(
        f"processor\t: {core}\nFeatures\t: fp asimd crc32\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
        for core in range(4)
    ),
    "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:          100 kB\n",
    "proc/loadavg": "0.25 0.10 0.05 1/100 999\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "-1500\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
} | {
    f"sys/devices/system/cpu/cpu{core}/cpufreq/{name}": value
    for core in (0, 1, 2, 10)
    for name, value in (("scaling_cur_freq", f"{600000 + core}\n"), ("scaling_governor", "ondemand\n"))
}


def tell(job: object, program: Path = PROGRAM) -> list[dict[str, Any]]:
    """The harness's events for a job."""
    done = subprocess.run(
        [sys.executable, program, "-"], input=json.dumps(job), capture_output=True, text=True, check=False, timeout=60
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def machine(root: Path, files: dict[str, str]) -> str:
    """A folder that looks like the root of a machine."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


class TestProgram:
    def test_old_python(self) -> None:
        """What runs on a device is Python 3.6: an old Jetson has nothing newer."""
        tree = ast.parse(PROGRAM.read_text(), feature_version=(3, 6))
        roots = {
            name.name.split(".")[0]
            for node in ast.iter_child_nodes(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        }
        assert roots <= sys.stdlib_module_names

    def test_hello_comes_first(self) -> None:
        """The first event says which harness speaks."""
        hello, result = tell({"job_version": on_device.JOB_VERSION, "mode": "probe"})
        assert (hello["event"], hello["harness"]) == ("hello", on_device.HARNESS_VERSION)
        assert result["machine"]["python"] == ".".join(str(part) for part in sys.version_info[:3])

    @pytest.mark.parametrize(
        ("job", "kind", "word"),
        [
            ({"job_version": 99, "mode": "probe"}, "version", "has version 99; harness"),
            ({"mode": "probe"}, "version", "has version None"),
            (["no object"], "version", "has version None"),
            ({"job_version": 1, "mode": "fly"}, "job", "'fly', not one of measure, pair, operators, golden, probe"),
            ({"job_version": 1, "mode": "measure", "format": "mlpackage"}, "job", "executorch, not 'mlpackage'"),
            ({"job_version": 1, "mode": "measure", "format": "tflite"}, "internal", "KeyError"),
        ],
        ids=["newer", "none", "no object", "mode", "format", "incomplete"],
    )
    def test_refusals(self, job: object, kind: str, word: str) -> None:
        """A job that it cannot do ends with one error event that says why."""
        last = tell(job)[-1]
        assert (last["event"], last["kind"]) == ("error", kind)
        assert word in last["message"]
        assert "Traceback" not in last["message"]

    @pytest.mark.parametrize("arguments", [[], ["no-such-job.json"], ["a", "b"]])
    def test_wrong_arguments(self, arguments: list[str]) -> None:
        """Wrong arguments are told in the same way."""
        done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=False)
        assert json.loads(done.stdout.splitlines()[-1])["kind"] == "job"
        assert done.returncode == 1

    def test_noise_stays_out(self) -> None:
        """What a framework prints, in Python or below it, goes to standard error, not between the events."""
        program = (
            f"import os, sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import on_device\n"
            "channel = on_device.Channel()\n"
            "print('noise', flush=True); os.system('echo deep noise')\n"
            "channel.event('hello')"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout == '{"event": "hello"}\n'
        assert done.stderr.split() == ["noise", "deep", "noise"]


class FakeClock:
    """A clock that a call moves on, in nanoseconds."""

    def __init__(self, *durations_ns: int) -> None:
        self.now = 0
        self.calls = 0
        self._durations = durations_ns

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1e9)

    def infer(self) -> None:
        """Take the next of the durations; the last one stays."""
        self.now += self._durations[min(self.calls, len(self._durations) - 1)]
        self.calls += 1


class TestTiming:
    @pytest.fixture(params=[1_000_000])
    def clock(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
        """Every inference takes a millisecond."""
        clock = FakeClock(request.param)
        monkeypatch.setattr(on_device, "clock", clock)
        return clock  # type: ignore[return-value]  # pytest takes a value for a generator of one

    def test_time_and_count(self, clock: FakeClock) -> None:
        """It goes on until both the time and the number are reached, and keeps every sample."""
        assert len(on_device.timed_loop(clock.infer, least_s=0.5, least=30, most=10_000)) == 500
        assert len(on_device.timed_loop(clock.infer, least_s=0.01, least=30, most=10_000)) == 30

    def test_most(self, clock: FakeClock) -> None:
        """It stops at the largest number, whatever the time."""
        assert len(on_device.timed_loop(clock.infer, least_s=10, least=30, most=200)) == 200

    def test_limit(self, clock: FakeClock) -> None:
        """It stops at its time limit, whatever the number."""
        assert len(on_device.timed_loop(clock.infer, least_s=0, least=30, most=10_000, limit_s=0.01)) == 10

    def test_samples(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A sample is the time of one call, in order."""
        clock = FakeClock(5, 7, 9)
        monkeypatch.setattr(on_device, "clock", clock)
        ticks = on_device.timed_loop(clock.infer, least_s=0, least=3, most=3)
        assert [on_device.nanoseconds(tick) for tick in ticks] == [5, 7, 9]

    def test_heartbeat(self, clock: FakeClock) -> None:
        """A long measurement is heard of about once a second."""
        beats: list[int] = []
        on_device.timed_loop(clock.infer, least_s=3.5, least=1, most=10_000, beat=lambda _, count: beats.append(count))
        assert beats == [1000, 2000, 3000]

    def test_warm_up_of_a_steady_model(self, clock: FakeClock) -> None:
        """A model that is steady at once warms up for the time asked for: two windows of half of it."""
        assert on_device.warm_up(clock.infer, 0.2) == (200, True)

    def test_warm_up_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Warm-up goes on while the model gets faster."""
        clock = FakeClock(*(4_000_000,) * 25, *(2_000_000,) * 50, 1_000_000)
        monkeypatch.setattr(on_device, "clock", clock)
        count, settled = on_device.warm_up(clock.infer, 0.2)
        assert settled
        assert count >= 25 + 50 + 100

    def test_warm_up_gives_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A model that never gets steady is given up at ten times the time asked for, and that is told."""
        clock = FakeClock(*(1_000_000 + 2_000 * place for place in range(5_000)))
        monkeypatch.setattr(on_device, "clock", clock)
        _, settled = on_device.warm_up(clock.infer, 0.2)
        assert not settled
        assert 2.0e9 <= clock.now < 2.1e9

    def test_slow_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that takes seconds does not warm up for longer than the limit and one inference."""
        clock = FakeClock(1_500_000_000)
        monkeypatch.setattr(on_device, "clock", clock)
        count, _ = on_device.warm_up(clock.infer, 0.2)
        assert count <= 2

    def test_a_paced_call_waits_for_its_period(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        """One call each 10 ms, of which it sleeps 9: 10 samples in 100 ms, none missed."""
        monkeypatch.setattr(time, "sleep", clock.sleep)
        ticks, missed = on_device.paced_loop(clock.infer, period_s=0.01, least_s=0.1, least=1, most=1000)
        assert [round(tick) for tick in ticks] == [1_000_000] * len(ticks)
        assert (len(ticks), missed) == (11, 0)

    def test_a_paced_call_that_is_too_slow_misses_periods(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Calls of 25 ms each 10 ms: two periods pass unserved after each."""
        clock = FakeClock(25_000_000)
        monkeypatch.setattr(on_device, "clock", clock)
        monkeypatch.setattr(time, "sleep", clock.sleep)
        ticks, missed = on_device.paced_loop(clock.infer, period_s=0.01, least_s=0, least=4, most=4)
        assert (len(ticks), missed) == (4, 8)

    def test_slowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A call that is slowed by a twentieth on purpose takes that much longer."""

        class Ticking(FakeClock):
            def __call__(self) -> int:
                self.now += 10
                return self.now

        clock = Ticking(1_000_000)
        monkeypatch.setattr(on_device, "clock", clock)
        on_device.slowed(clock.infer, 0.05)()
        assert clock.now == pytest.approx(1_050_000, rel=1e-4)

    def test_turns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two models take turns of 20 ms, A B B A, until both had their time; each keeps its own samples."""
        order: list[str] = []
        clock = FakeClock(10_000_000)
        monkeypatch.setattr(on_device, "clock", clock)

        def call(name: str) -> None:
            order.append(name)
            clock.infer()

        found = [on_device.Steady(), on_device.Steady()]
        schedule = {"min_time_s": 0.05, "min_samples": 1, "max_samples": 100}
        calls = [partial(call, "A"), partial(call, "B")]
        on_device.take_turns(calls, found, schedule, SilentChannel())
        assert "".join(order) == "AAABBBBBBAAA"
        assert [len(steady.ticks) for steady in found] == [6, 6]

    def test_overhead_is_measured(self) -> None:
        """What the harness costs for each inference is a figure of its own, of microseconds at most."""
        assert 0 < on_device.overhead_ns() < 100_000

    def test_no_warm_up(self, clock: FakeClock) -> None:
        """Without warm-up nothing is run, and nobody knows whether it is steady."""
        assert on_device.warm_up(clock.infer, 0) == (0, False)
        assert clock.calls == 0


class SilentChannel(on_device.Channel):
    """Says nothing, and leaves standard output alone."""

    def __init__(self) -> None:
        pass

    def event(self, name: str, **fields: Any) -> None:
        """Pass over it."""


class TestGolden:
    def test_relative_rms(self) -> None:
        """The error is the RMSE over the RMS of the source's output, over all vectors together."""
        assert on_device.relative_rms([np.array([3.0, 4.0])], [np.array([3.0, 3.0])]) == pytest.approx(0.2)

    def test_silent_output(self) -> None:
        """An output that is zero throughout is compared as if its RMS were 1."""
        assert on_device.relative_rms([np.zeros(4)], [np.full(4, 0.5)]) == pytest.approx(0.5)
        assert on_device.relative_rms([np.zeros(4)], [np.zeros(4)]) == 0

    @pytest.mark.parametrize("got", [[np.nan, 1.0], [np.inf, 1.0], [1.0, 2.0, 3.0]], ids=["nan", "inf", "size"])
    def test_no_number(self, got: list[float]) -> None:
        """Not a number, infinite, or of another size: there is no error to give, and the check fails."""
        assert on_device.relative_rms([np.array([1.0, 2.0])], [np.array(got)]) is None


class TestMachine:
    def test_pi4(self, tmp_path: Path) -> None:
        """A Raspberry Pi 4 is told by its device tree and its CPU's part number."""
        told = on_device.describe_machine(machine(tmp_path, PI4))
        assert told["board"] == "Raspberry Pi 4 Model B Rev 1.4"
        assert told["cpu"] == "Cortex-A72"
        assert told["cpu_features"] == ["fp", "asimd", "crc32"]
        assert told["memory_bytes"] == 3884360 * 1024
        assert told["kind"] == "physical"

    def test_state(self, tmp_path: Path) -> None:
        """What moves: load, clocks in the order of the cores, governors, temperatures, throttle flags."""
        assert on_device.cpu_state(machine(tmp_path, PI4)) == {
            "load1": 0.25,
            "frequency_hz": [600000000, 600001000, 600002000, 600010000],
            "governor": ["ondemand"] * 4,
            "temperature_c": {"cpu-thermal": 48.312, "cpu-thermal (thermal_zone1)": -1.5},
            "throttled": "50000",
            "power_mw": None,
            "gpu_hz": None,
        }

    def test_says_nothing(self, tmp_path: Path) -> None:
        """A machine that tells nothing of itself gives empty answers, no error."""
        state = on_device.cpu_state(str(tmp_path))
        assert set(state.values()) == {None}
        told = on_device.describe_machine(str(tmp_path))
        assert (told["board"], told["cpu"], told["cpu_features"], told["memory_bytes"]) == ("", "", [], 0)

    def test_two_kinds_of_core(self, tmp_path: Path) -> None:
        """Both kinds of core are named; an unknown part by its number."""
        text = "CPU implementer : 0x41\nCPU part : 0xd05\nCPU part : 0xd41\nCPU part : 0xfff\n"
        assert on_device.cpu_model(machine(tmp_path, {"proc/cpuinfo": text})) == (
            "Cortex-A55 + Cortex-A78 + implementer 0x41 part 0xfff"
        )

    @pytest.mark.parametrize(
        ("files", "kind"),
        [
            ({"proc/cpuinfo": "flags : fpu hypervisor\n"}, "virtual"),
            ({".dockerenv": ""}, "virtual"),
            ({"sys/class/dmi/id/product_name": "VMware7,1"}, "virtual"),
            ({"sys/class/dmi/id/sys_vendor": "QEMU"}, "emulated"),
            ({"proc/cpuinfo": "model name : QEMU Virtual CPU version 2.5+\n"}, "emulated"),
            ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "emulated"),
            ({"proc/thread-self/cmdline": "/usr/bin/qemu-aarch64-static\0python3\0"}, "emulated"),
            (
                {
                    "sys/class/dmi/id/sys_vendor": "QEMU",
                    "sys/devices/system/clocksource/clocksource0/available_clocksource": "kvm-clock tsc\n",
                },
                "virtual",
            ),
            ({"sys/class/dmi/id/sys_vendor": "Dell Inc."}, "physical"),
        ],
        ids=["flag", "container", "vmware", "qemu", "tcg cpu", "arm virt", "qemu-user", "kvm", "real"],
    )
    def test_kind(self, tmp_path: Path, files: dict[str, str], kind: str) -> None:
        """Emulated, virtual or physical shows in what the machine says; QEMU with KVM runs on the CPU itself."""
        assert on_device.machine_kind(machine(tmp_path, files)) == kind

    def test_marker(self, tmp_path: Path) -> None:
        """Whoever starts an emulator that does not show can say so."""
        assert on_device.machine_kind(str(tmp_path), marker="1") == "emulated"
