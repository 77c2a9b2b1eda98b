"""What the harness reads of power, clocks and modes, and what a run says of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgekit import catalog
from edgekit.power import energy_mj, mean_power_mw
from edgekit.run import CpuState, Run, Schedule, TracePoint
from edgekit_bridge.harness import on_device
from edgekit_cli.main import main
from fakes import ENVIRONMENT, make_repetition, make_run

DATA = Path(__file__).parent / "data"
NANO, XAVIER_NX, ORIN_NANO = (DATA / "tegrastats.txt").read_text().splitlines()

ORIN_HWMON = "sys/class/hwmon/hwmon3"
ORIN = {
    f"{ORIN_HWMON}/name": "ina3221\n",
    f"{ORIN_HWMON}/in1_label": "VDD_IN\n",
    f"{ORIN_HWMON}/in1_input": "5000\n",
    f"{ORIN_HWMON}/curr1_input": "946\n",
    f"{ORIN_HWMON}/in2_label": "VDD_CPU_GPU_CV\n",
    f"{ORIN_HWMON}/in2_input": "4992\n",
    f"{ORIN_HWMON}/curr2_input": "120\n",
    f"{ORIN_HWMON}/in3_label": "VDD_SOC\n",  # switched off: it has no values
    f"{ORIN_HWMON}/in7_label": "sum of shunt voltages\n",
    f"{ORIN_HWMON}/in7_input": "3\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/15340000.vic/cur_freq": "729600000\n",
}
NANO_IIO = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
JETPACK4 = {
    f"{NANO_IIO}/rail_name_0": "POM_5V_IN\n",
    f"{NANO_IIO}/in_power0_input": "2345\n",
    f"{NANO_IIO}/rail_name_1": "POM_5V_GPU\n",
    f"{NANO_IIO}/in_power1_input": "120\n",
}
OTHER = {
    "sys/class/hwmon/hwmon0/name": "ina238\n",
    "sys/class/hwmon/hwmon0/power1_input": "3250000\n",
    "sys/class/hwmon/hwmon1/name": "ina238\n",
    "sys/class/hwmon/hwmon1/power1_input": "garbage\n",
    "sys/class/hwmon/hwmon2/name": "ina238\n",
    "sys/class/hwmon/hwmon2/power1_input": "1000\n",
}

Device = Callable[[dict[str, str]], str]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """Makes a folder that looks like the root of a device."""

    def make(files: dict[str, str]) -> str:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return str(tmp_path)

    return make


class TestRails:
    @pytest.mark.parametrize(
        ("files", "rails", "total"),
        [
            (ORIN, {"VDD_IN": 4730.0, "VDD_CPU_GPU_CV": 599.0}, 4730.0),
            (JETPACK4, {"POM_5V_IN": 2345.0, "POM_5V_GPU": 120.0}, 2345.0),
            (OTHER, {"ina238": 3250.0, "ina238 (hwmon2)": 1.0}, None),
            ({}, None, None),
        ],
        ids=["hwmon", "JetPack 4", "no Jetson", "none"],
    )
    def test_rails(self, device: Device, files: dict[str, str], rails: dict[str, float] | None, total: float) -> None:
        """Milliwatts by rail from each kind of sensor; the whole only where it is known which rails it is."""
        found = on_device.rails(device(files))
        assert found == rails
        assert on_device.total_mw(found) == total

    def test_a_sensor_that_shows_twice_counts_once(self, device: Device, tmp_path: Path) -> None:
        """The class's folder is a link to the driver's."""
        real = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
        root = device({name.replace(ORIN_HWMON, real): text for name, text in ORIN.items()})
        (tmp_path / "sys/class/hwmon").mkdir(parents=True)
        (tmp_path / ORIN_HWMON).symlink_to(tmp_path / real)
        assert on_device.rails(root) == {"VDD_IN": 4730.0, "VDD_CPU_GPU_CV": 599.0}

    def test_a_module_without_an_input_rail_is_the_sum_of_its_parts(self) -> None:
        """AGX Orin: its memory's rail is fed by another one, so it is not counted twice."""
        rails = {"VDD_GPU_SOC": 2400.0, "VDD_CPU_CV": 800.0, "VIN_SYS_5V0": 3000.0, "VDDQ_VDD2_1V8AO": 600.0}
        assert on_device.total_mw(rails) == 6200.0
        del rails["VIN_SYS_5V0"]
        assert on_device.total_mw(rails) is None

    def test_state(self, device: Device) -> None:
        """They are in what is told of a device, with the GPU's clock and no other engine's."""
        state = on_device.cpu_state(device(ORIN))
        assert state["power_mw"] == {"VDD_IN": 4730.0, "VDD_CPU_GPU_CV": 599.0}
        assert state["gpu_hz"] == 306_000_000
        assert msgspec.convert(state, CpuState).power_mw == state["power_mw"]


class TestTegrastats:
    def test_jetpack_4(self) -> None:
        """No units; cores that are off have no clock."""
        assert on_device.parse_tegrastats(NANO) == {
            "ram_bytes": 1500 << 20,
            "ram_total_bytes": 3964 << 20,
            "frequency_hz": [1_479_000_000, 1_479_000_000],
            "gpu_load": 0.25,
            "gpu_hz": 921_000_000,
            "temperature_c": {"PLL": 31, "CPU": 34.5, "PMIC": 100, "GPU": 32, "AO": 40, "thermal": 33.25},
            "power_mw": {"POM_5V_IN": 2345, "POM_5V_GPU": 120, "POM_5V_CPU": 560},
        }

    def test_jetpack_5(self) -> None:
        """A date before it, and units; memory and swap are no power."""
        told = on_device.parse_tegrastats(XAVIER_NX)
        assert told["power_mw"] == {"VDD_IN": 3200, "VDD_CPU_GPU_CV": 420, "VDD_SOC": 980}
        assert told["frequency_hz"] == [1_190_000_000] * 4
        assert (told["gpu_load"], told["gpu_hz"]) == (0, 114_000_000)

    def test_jetpack_6(self) -> None:
        """The GPU's clock in brackets; a zone that is off is left out."""
        told = on_device.parse_tegrastats(ORIN_NANO)
        assert told["gpu_hz"] == 624_000_000
        assert told["temperature_c"] == {
            "cpu": 45.5, "soc2": 44.7, "soc0": 45.1, "gpu": 45.2, "tj": 45.5, "soc1": 44.3,
        }  # fmt: skip
        assert on_device.total_mw(told["power_mw"]) == 4730

    @pytest.mark.parametrize("line", ["", "RAM", "RAM x/yMB CPU [", "GR3D_FREQ 5%", "Error: cannot open"])
    def test_half_a_line(self, line: str) -> None:
        """What is not there is not told."""
        assert set(on_device.parse_tegrastats(line)) <= {"gpu_load"}


class TestMode:
    @pytest.mark.parametrize(
        ("text", "mode"),
        [
            ("NV Power Mode: MAXN\n0\n", "MAXN (0)"),
            ("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W_6CORE\n2\n", "MODE_15W_6CORE (2)"),
            ("NV Fan Mode:quiet\nNV Power Mode: MAXN_SUPER\n2\n", "MAXN_SUPER (2)"),
            ("NV Power Mode: 15W\n", "15W"),
            ("NVPM ERROR: optMask is 2, no request for power mode\n", ""),
            ("", ""),
        ],
    )
    def test_nvpmodel(self, text: str, mode: str) -> None:
        """The name and the number, past whatever else it says."""
        assert on_device.parse_power_mode(text) == mode

    def test_jetson_clocks(self) -> None:
        """Pinned is one clock for every core that is on, and for the GPU; memory is pinned by an override."""
        text = (DATA / "jetson_clocks.txt").read_text()
        assert on_device.parse_jetson_clocks(text) is True
        assert on_device.parse_jetson_clocks(text.replace("GPU MinFreq=6", "GPU MinFreq=3")) is False
        free = text.replace("MinFreq=1510400", "MinFreq=115200", 1)
        assert on_device.parse_jetson_clocks(free) is False
        assert on_device.parse_jetson_clocks("Error: Please run as root.\n") is None

    def test_limits_tell_it_without_jetson_clocks(self, device: Device) -> None:
        """The kernel's limits of the clock; a machine without any does not say."""
        cpufreq = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_{}_freq"
        root = device({cpufreq.format(core, end): "1500000\n" for core in (0, 1) for end in ("min", "max")})
        assert on_device.clocks_pinned(root) is True
        device({cpufreq.format(1, "min"): "600000\n"})
        assert on_device.clocks_pinned(root) is False
        assert on_device.clocks_pinned(f"{root}/nothing") is None

    def test_tools_are_asked_on_the_device(self, tmp_path: Path) -> None:
        """Programs of these names on the PATH: what they say is in what the harness tells."""
        tools = {"nvpmodel": "echo 'NV Power Mode: MAXN'; echo 0", "tegrastats": f"echo '{NANO}'; exec sleep 60"}
        tools["jetson_clocks"] = f"cat {DATA / 'jetson_clocks.txt'}"
        told = probe(tmp_path, tools)
        assert '"power_mode": "MAXN (0)", "clocks_pinned": true' in told
        assert ('"POM_5V_IN": 2345.0' in told) == (on_device.rails() is None)  # sensors of this machine come first

    def test_tools_that_hang_or_fail_are_left(self, tmp_path: Path) -> None:
        """Each has two seconds."""
        tools = {"nvpmodel": "exec sleep 60", "tegrastats": "exec sleep 60", "jetson_clocks": "exit 1"}
        assert '"power_mode": ""' in probe(tmp_path, tools)


def probe(folder: Path, tools: dict[str, str]) -> str:
    """What the harness tells of this machine, which has these programs."""
    for name, script in tools.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    job = f'{{"job_version": {on_device.JOB_VERSION}, "mode": "probe"}}'
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    argv = [sys.executable, on_device.__file__, "-"]
    done = subprocess.run(argv, input=job, capture_output=True, text=True, check=True, timeout=20, env=environment)
    return done.stdout


def sustained(*power_mw: float | None) -> Run:
    """A sustained run of inferences of 2 ms, with these on its course."""
    points = tuple(
        TracePoint(seconds=float(place), samples=place, power_mw=value) for place, value in enumerate(power_mw)
    )
    repetition = msgspec.structs.replace(make_repetition([2_000_000] * 100), trace=points)
    return make_run(schedule=Schedule(mode="sustained", repeat=1), repetitions=(repetition,))


class TestRun:
    def test_energy(self) -> None:
        """5 W for 2 ms is 10 mJ; moments without a figure are left out."""
        run = sustained(4000.0, None, 6000.0)
        assert mean_power_mw(run) == 5000.0
        assert energy_mj(run) == pytest.approx(10.0)

    def test_no_energy(self) -> None:
        """Not without a figure, and of no run that does not work without a pause."""
        assert energy_mj(sustained(None)) is None
        assert energy_mj(msgspec.structs.replace(sustained(5000.0), schedule=Schedule())) is None
        assert energy_mj(make_run()) is None

    def test_a_run_of_before_loads(self) -> None:
        """It has none of these fields."""
        run = msgspec.to_builtins(make_run())
        for name in ("power_mode", "clocks_pinned"):
            del run["environment"][name]
        for state in ("before", "after"):
            del run["environment"][state]["power_mw"], run["environment"][state]["gpu_hz"]
        del run["schedule"]["governor"], run["schedule"]["affinity"]
        assert msgspec.convert(run, Run) == make_run()

    def test_it_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Mode, governor and cores, and power with its energy."""
        state = CpuState(governor=("performance",) * 2, power_mw={"VDD_IN": 4730.0})
        environment = {"power_mode": "MAXN (0)", "clocks_pinned": True, "before": state, "after": state}
        run = msgspec.structs.replace(
            sustained(5000.0),
            environment=msgspec.structs.replace(ENVIRONMENT, **environment),
            schedule=Schedule(mode="sustained", repeat=1, governor="performance", affinity=(2, 3)),
        )
        store(run)
        assert main(["runs", "show", run.id]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "governor performance (set for the run), power mode MAXN (0), pinned to one clock, cores 2, 3" in shown
        assert "5.00 W of the whole board while it worked, 10 mJ an inference" in shown

    def test_rails_are_shown_without_a_course(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What they said after it is no energy."""
        after = CpuState(power_mw={"VDD_IN": 4730.0, "VDD_SOC": 1400.0})
        run = make_run(environment={"after": after})
        store(run)
        assert main(["runs", "show", run.id]) == 0
        shown = capsys.readouterr().out
        assert "VDD_IN 4.73 W, VDD_SOC 1.40 W after it" in shown
        assert "mJ" not in shown


def store(run: Run) -> None:
    """Keep it in the test's own store."""
    from edgekit.store import open_store

    open_store().record(run)


class TestOptions:
    @pytest.mark.parametrize("text", ["3-1", "a", "", "1,,2", "-1", "1-", "99999"])
    def test_cores_that_are_no_list_are_refused(self, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        """Before anything is done."""
        assert main(["bench", "none.edgekit", "--cores", text]) == 2
        assert "is no list of cores" in capsys.readouterr().err

    @pytest.mark.parametrize(("text", "cores"), [("2,3", (2, 3)), ("0-3", (0, 1, 2, 3)), ("5, 0-1,1", (0, 1, 5))])
    def test_cores(self, text: str, cores: tuple[int, ...]) -> None:
        """Numbers and spans, each once, in order."""
        from edgekit_cli.options import CORES

        assert CORES.convert(text, None, None) == cores


@pytest.mark.parametrize("name", ["jetson-nano", "jetson-xavier-nx", "jetson-orin-nano", "jetson-agx-orin"])
def test_a_jetson_has_power_modes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """From NVIDIA's documentation, within what the board has, and shown."""
    profile = catalog.targets().load(name)
    assert profile.evidence == "untested on hardware"
    assert any("power_modes" in source.keys for source in profile.sources)
    assert all(
        mode.cores <= profile.cpu.cores and mode.max_hz < 1.05 * profile.cpu.max_hz for mode in profile.power_modes
    )
    assert main(["targets", "show", name]) == 0
    shown = capsys.readouterr().out
    assert all(mode.name in shown for mode in profile.power_modes)
