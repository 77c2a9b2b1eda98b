"""`edgekit devices`: the inventory, what devices are, and what is there to be found."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.device_facts import Cluster, DeviceFacts, PythonFacts, SeenAccelerator, SeenRuntime
from edgekit.errors import DeviceError
from edgekit.inventory import Device
from edgekit.probing import propose_target
from edgekit_bridge.probe.discover import Finding, discover
from edgekit_cli.main import main
from edgekit_cli.render.devices import Probed, print_probes

ORIN = DeviceFacts(
    model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", soc="nvidia,tegra234",
    machine="aarch64", userland="aarch64", cpu="Cortex-A78AE", cpu_features=("fp", "asimd", "asimddp", "paca"),
    cores=6, clusters=(Cluster(cpu="Cortex-A78AE", cores=(0, 1, 2, 3, 4, 5), max_hz=1_728_000_000),),
    memory_bytes=8_000_000_000, os="Ubuntu 22.04.5 LTS", kernel="Linux 5.15.148-tegra", libc="glibc 2.35",
    l4t="36.4.3", home="/home/user/.edgekit", disk_free_bytes=12 << 30, disk_total_bytes=58 << 30,
    python=PythonFacts(executable="/usr/bin/python3", version="3.10.12", implementation="cp", abi="cp310",
                       soabi="cpython-310-aarch64-linux-gnu"),
    governor=("schedutil",), throttled="0x50000", load1=0.4, uptime_s=200_000.0,
    temperature_c={f"{zone}-thermal": 48.2 for zone in ("cpu", "gpu", "cv0", "cv1", "cv2", "soc0", "soc1", "tj")},
    accelerators=(SeenAccelerator(name="Jetson GPU", place="/dev/nvhost-gpu"),),
    runtimes=(
        SeenRuntime(name="numpy", version="1.21.5", place="/usr/lib/python3/dist-packages"),
        SeenRuntime(name="onnxruntime", version="1.19.2", ours=True,
                    place="/home/user/.edgekit/runtimes/onnxruntime/current"),
        SeenRuntime(name="tensorrt", version="10.3.0", place="/usr/src/tensorrt/bin"),
    ),
)  # fmt: skip

ANDROIDS = """\
* daemon started successfully
List of devices attached
0123456789ABCDEF       device usb:1-2 product:oriole model:Pixel_6 device:oriole transport_id:1
192.0.2.5:5555         unauthorized transport_id:2
emulator-5554          offline transport_id:3
????????????           no permissions (missing udev rules? user is in the plugdev group); see [http://d.android.com]

"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own, and a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "edgekit.toml"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No adb, no zeroconf and no pyserial; a folder that is PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for module in ("zeroconf", "serial.tools"):
        monkeypatch.setitem(sys.modules, module, None)
    return folder


def fake_adb(folder: Path, script: str) -> None:
    """An adb that does this."""
    (folder / "adb").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "adb").chmod(0o755)


def test_added_listed_and_removed(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    """The way of a name."""
    assert main(["devices", "add", "pi4", "ssh://pi@pi4", "--target", "raspberrypi4", "--tag", "lab"]) == 0
    assert "edgekit devices probe pi4" in capsys.readouterr().out
    assert main(["devices", "list"]) == 0
    assert capsys.readouterr().out == "pi4  ssh://pi@pi4  raspberrypi4  lab\n"
    assert main(["devices", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "devices": [{"name": "pi4", "url": "ssh://pi@pi4", "target": "raspberrypi4", "tags": ["lab"]}]
    }
    assert main(["devices", "remove", "pi4"]) == 0
    assert project.read_text() == ""
    capsys.readouterr()
    assert main(["devices", "list"]) == 0
    assert "Add one: edgekit devices add" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "Pi", "local:"], "cannot be a device's name"),
        (["add", "pi", "pi.local"], "has no scheme"),
        (["add", "pi", "local:", "--target", "raspberrypie4"], "Did you mean raspberrypi4"),
        (["remove", "pi"], "There is no device 'pi'"),
        (["probe", "pi"], "There is no device 'pi'"),
        (["probe", "group:lab"], "lists no devices"),
        (["discover", "--timeout", "soon"], "no duration"),
    ],
)
def test_bad_usage_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], project: Path) -> None:
    """Exit code 2, with the next step; nothing is written."""
    assert main(["devices", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert not project.exists()


def test_this_machine_is_probed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a device: a page for people, every fact for machines."""
    assert main(["devices", "probe"]) == 0
    shown = capsys.readouterr().out
    for part in ("processor", "memory", "system", "python", "runtimes", "host: It is this machine."):
        assert part in shown
    assert main(["devices", "probe", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["devices"]
    assert told["device"]["url"] == "local:"
    assert msgspec.convert(told["facts"], DeviceFacts).cores == len(os.sched_getaffinity(0))
    assert told["proposal"]["target"] == "host"
    assert told["error"] is None


def test_one_that_fails_is_a_line_among_the_others(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    """The others are shown; the exit code is 3."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tables = {"here": "local:", "gone": f"ssh://127.0.0.1:{port}"}
    project.write_text("".join(f'[devices.{name}]\nurl = "{url}"\ntags = ["lab"]\n' for name, url in tables.items()))
    assert main(["devices", "probe", "group:lab"]) == 3
    shown = capsys.readouterr().out
    assert "here" in shown
    assert "✗ gone: Nothing answers" in shown
    assert main(["devices", "probe", "here", "gone", "--json"]) == 3
    here, gone = json.loads(capsys.readouterr().out)["devices"]
    assert here["facts"]["machine"]
    assert (gone["facts"], gone["proposal"]) == (None, None)
    assert "Nothing answers" in gone["error"]["cause"]


@pytest.mark.peer
def test_a_named_device_without_a_target_is_told_how_to_set_it(
    ssh_device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line to write, and where."""
    assert main(["devices", "add", "board", ssh_device]) == 0
    assert main(["devices", "probe", "board"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert 'Keep it: target = "linux-' in shown
    assert "below [devices.board] in edgekit.toml" in shown


def probed(device: Device, facts: DeviceFacts) -> Probed:
    """A device that answered so."""
    return Probed(device=device, facts=facts, proposal=propose_target(device, facts), error=None)


def test_a_page_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a board that has much to say."""
    print_probes([probed(Device(name="orin", url="ssh://nvidia@orin"), ORIN)], as_json=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for part in (
        "6 x Cortex-A78AE up to 1.73 GHz", "L4T 36.4.3", "asimddp", "12 GiB of 58 GiB free",
        "cpu-thermal 48.2 °C", "throttle flags 0x50000", "Jetson GPU at /dev/nvhost-gpu", "10.3.0", "2 d 7 h",
        "provisioned by edgekit", "jetson-orin-nano: Its board calls itself",
    ):  # fmt: skip
        assert part in shown


def test_a_table_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Models give way; errors stand below."""
    error = DeviceError("It did not answer " + "at all " * 20 + ".", hint="Look " + "at it " * 30 + ".")
    bare = DeviceFacts(machine="armv7l", userland="armv7l")
    print_probes(
        [
            probed(Device(name="orin", url="ssh://orin"), ORIN),
            probed(Device(name="a-camera-by-the-door", url="ssh://b", target="linux-armv7"), bare),
            Probed(device=Device(name="gone", url="ssh://c"), facts=None, proposal=None, error=error),
        ],
        as_json=False,
    )
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:3])) <= 80
    assert "jetson-orin-nano" in lines[1]
    assert "none" in lines[2]
    assert "linux-armv7" in lines[2]
    assert lines[3].startswith("✗ gone: It did not answer")


def test_a_target_that_does_not_fit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The inventory's word stands; the doubt is shown."""
    print_probes([probed(Device(name="orin", url="ssh://orin", target="raspberrypi4"), ORIN)], as_json=False)
    shown = capsys.readouterr().out
    assert "raspberrypi4, as the inventory says." in shown
    assert "It looks like jetson-orin-nano" in shown


def test_what_cannot_be_looked_for_is_told_in_a_line(quiet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither zeroconf nor adb nor pyserial: no failure."""
    assert quiet.is_dir()
    assert main(["devices", "discover", "--timeout", "10ms"]) == 0
    shown = capsys.readouterr().out
    assert "No devices were found." in shown
    for part in ("zeroconf is missing: pip install", "no adb on PATH", "pyserial is missing: pip install"):
        assert part in shown


def test_androids_are_listed_with_what_is_in_the_way(quiet: Path) -> None:
    """Their states, by adb's own words."""
    fake_adb(quiet, f"/bin/cat <<'END'\n{ANDROIDS}END")
    found = discover((), timeout_s=0)
    assert [(item.url, item.what) for item in found.findings] == [
        ("adb://0123456789ABCDEF", "Pixel 6"),
        ("adb://192.0.2.5:5555", "Android (unauthorized)"),
        ("adb://emulator-5554", "Android (offline)"),
        ("adb://????????????", "Android (no permissions)"),
    ]
    for item, step in zip(found.findings, ("", "Accept", "replug", "udev"), strict=True):
        assert step in item.note
    assert not any("adb" in line for line in found.missing)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'cannot bind: Address in use' >&2; exit 1", "adb failed: cannot bind: Address in use"),
        ("exit 1", "it said nothing"),
        ("exec /bin/sleep 60", "did not end within 0.5 s"),
    ],
)
def test_an_adb_that_fails_or_hangs_is_told(
    quiet: Path, script: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line, and soon."""
    monkeypatch.setattr("edgekit_bridge.probe.discover._ADB_S", 0.5)
    fake_adb(quiet, script)
    begin = time.monotonic()
    assert any(told in line for line in discover((), timeout_s=0).missing)
    assert time.monotonic() - begin < 10


def test_serial_ports_are_listed_with_whose_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """USB numbers and name; and the group to join for one that may not be opened."""
    list_ports = pytest.importorskip("serial.tools.list_ports")
    common = pytest.importorskip("serial.tools.list_ports_common")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    ports = []
    for name in ("ttyUSB0", "ttyS0"):
        (tmp_path / name).touch()
        ports.append(common.ListPortInfo(str(tmp_path / name)))
    ports[0].vid, ports[0].pid, ports[0].product = 0x0403, 0x6001, "FT232R\x1b[2J UART"
    (tmp_path / "ttyUSB0").chmod(0o000)
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path / "ttyUSB0") and mode > 0)
    assert main(["devices", "discover", "--timeout", "1ms"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    group = (tmp_path / "ttyUSB0").group()
    assert f"serial://{tmp_path / 'ttyUSB0'} FT232R [2J UART (0403:6001)" in shown
    assert f"No permission: group {group}. Join it, then log in anew: sudo usermod -aG {group} $USER" in shown
    assert f"serial://{tmp_path / 'ttyS0'} serial port" in shown
    assert shown.count("No permission") == 1


@pytest.fixture
def announced() -> Iterator[str]:
    """Two computers and a telephone in this network, as multicast DNS announces them; a label that is theirs."""
    zeroconf = pytest.importorskip("zeroconf")
    label = f"edgekit-{os.getpid()}"
    services: list[tuple[str, str, int, str]] = [
        ("_ssh._tcp", f"{label}.local.", 22, "192.0.2.7"),
        ("_workstation._tcp", f"{label}.local.", 9, "192.0.2.7"),
        ("_sftp-ssh._tcp", f"{label}-b.local.", 2222, "192.0.2.8"),
        ("_ssh._tcp", f"-oProxyCommand={label}.local.", 23, "192.0.2.9"),
        ("_adb-tls-connect._tcp", f"{label}-phone.local.", 40001, "192.0.2.10"),
    ]
    try:
        network = zeroconf.Zeroconf()
    except OSError as error:
        pytest.skip(f"there is no network for multicast DNS here: {error}")
    with network:
        for number, (service, host, port, address) in enumerate(services):
            told: Any = zeroconf.ServiceInfo(
                f"{service}.local.",
                f"{label} {number}.{service}.local.",
                port=port,
                addresses=[socket.inet_aton(address)],
                server=host,
            )
            network.register_service(told, cooperating_responders=True)
        yield label


@pytest.mark.slow
def test_what_the_network_announces_is_found(announced: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the URL to type, once a computer, its name in the inventory; what is no host name is passed over."""
    monkeypatch.setenv("PATH", str(tmp_path))
    known = (
        Device(name="by-address", url="ssh://pi@192.0.2.7"),
        Device(name="b", url=f"ssh://{announced}-b.local:2222"),
    )
    found: dict[str, Finding] = {}
    deadline = time.monotonic() + 60
    while len(found) < 3 and time.monotonic() < deadline:  # A datagram may be lost, as on any network.
        found |= {item.url: item for item in discover(known, timeout_s=1).findings if announced in item.url}
    assert {url: item.name for url, item in found.items()} == {
        f"ssh://{announced}.local": "by-address",
        f"ssh://{announced}-b.local:2222": "b",
        f"adb://{announced}-phone.local:40001": "",
    }
    assert found[f"ssh://{announced}.local"].addresses == ("192.0.2.7",)
    assert found[f"adb://{announced}-phone.local:40001"].note == ""
