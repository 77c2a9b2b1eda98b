"""What a device is: asked of real ones, read from boards' files, and refused where it cannot be true."""

import ast
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import pytest

import edgekit
from edgekit import catalog
from edgekit.device import parse_device
from edgekit.device_facts import Cluster, DeviceFacts, PythonFacts
from edgekit.errors import DeviceError, UsageError
from edgekit.inventory import Device
from edgekit.probing import propose_target
from edgekit.protocols import Completed, Link, Progress
from edgekit_bridge.probe import on_device_facts, shell_facts

CORE = "processor\t: {}\nFeatures\t: fp asimd crc32\nCPU implementer\t: 0x41\nCPU part\t: {}\n\n"
OS = 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


def cpu_files(parts: Sequence[str], kilohertz: Sequence[int]) -> dict[str, str]:
    """The cores of a board, by part and highest clock."""
    files = {"proc/cpuinfo": "".join(CORE.format(number, part) for number, part in enumerate(parts))}
    for number, clock in enumerate(kilohertz):
        folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
        files |= {f"{folder}/cpuinfo_max_freq": f"{clock}\n", f"{folder}/scaling_governor": "ondemand\n"}
    return files


PI4 = {
    **cpu_files(["0xd08"] * 4, [1_800_000] * 4),
    "proc/meminfo": "MemTotal:        3882104 kB\n",
    "proc/uptime": "93784.12 371211.00\n",
    "proc/loadavg": "0.52 0.58 0.59 1/389 1234\n",
    "proc/sys/kernel/random/boot_id": "6b8b4567-327b-23c6-643c-986966334873\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
    "etc/os-release": OS,
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48686\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "dev/dri/renderD128": "",
    "sys/class/drm/renderD128/device/uevent": "DRIVER=v3d\nOF_NAME=v3d\n",
}
PI5 = {
    **PI4,
    **cpu_files(["0xd0b"] * 4, [2_400_000] * 4),
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n",
    "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n",
    "dev/hailo0": "",
}
ORIN = {
    **cpu_files(["0xd42"] * 6, [1_510_400] * 6),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0",
    "etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64\n",
    "etc/os-release": "PRETTY_NAME='Ubuntu 20.04.6 LTS'\n",
    "dev/nvhost-gpu": "",
    "dev/nvhost-ctrl-gpu": "",
    "usr/src/tensorrt/bin/trtexec": "",
    "usr/lib/aarch64-linux-gnu/libnvinfer.so.8": "",
    "usr/lib/aarch64-linux-gnu/libnvinfer.so.8.5.2": "",
}
ROCK5 = cpu_files(["0xd05"] * 4 + ["0xd0b"] * 4, [1_800_000] * 4 + [2_400_000] * 2 + [2_256_000] * 2)


def board(root: Path, files: dict[str, str]) -> str:
    """A board's files below a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return str(root)


def facts_of(root: Path, files: dict[str, str], userland: str = "aarch64") -> DeviceFacts:
    """What they tell, as a device's facts."""
    told = on_device_facts.facts_in(board(root, files))
    return msgspec.convert({**told, "machine": "aarch64", "userland": userland}, DeviceFacts)


class TestBoards:
    """Files as boards have them; `facts_in` reads a device's own root the same way."""

    def test_raspberry_pi_4(self, tmp_path: Path) -> None:
        """Everything there is to know."""
        facts = facts_of(tmp_path, PI4)
        assert (facts.model, facts.soc) == ("Raspberry Pi 4 Model B Rev 1.4", "brcm,bcm2711")
        assert facts.clusters == (Cluster(cpu="Cortex-A72", cores=(0, 1, 2, 3), max_hz=1_800_000_000),)
        assert facts.cpu_features == ("fp", "asimd", "crc32")
        assert facts.memory_bytes == 3882104 * 1024
        assert facts.os == "Debian GNU/Linux 12 (bookworm)"
        assert (facts.governor, facts.temperature_c, facts.throttled) == (("ondemand",), {"cpu-thermal": 48.686}, "0")
        assert [(item.name, item.place, item.detail) for item in facts.accelerators] == [
            ("GPU", "/dev/dri/renderD128", "driver v3d")
        ]
        assert (facts.boot_id, facts.uptime_s) == ("6b8b4567-327b-23c6-643c-986966334873", 93784.12)
        assert facts.kind == "physical"

    def test_raspberry_pi_5_with_accelerators(self, tmp_path: Path) -> None:
        """A Hailo by its device file; a Coral on PCI whose driver is missing."""
        facts = facts_of(tmp_path, PI5)
        found = {item.name: item for item in facts.accelerators}
        assert facts.soc == "brcm,bcm2712"
        assert found["Hailo NPU"].place == "/dev/hailo0"
        assert "without its driver" in found["Coral Edge TPU"].detail

    def test_a_coral_with_its_driver_is_named_once(self, tmp_path: Path) -> None:
        """By the file that it is used by."""
        facts = facts_of(tmp_path, {**PI5, "dev/apex_0": ""})
        places = [item.place for item in facts.accelerators if item.name == "Coral Edge TPU"]
        assert places == ["/dev/apex_0"]

    def test_jetson_orin(self, tmp_path: Path) -> None:
        """NVIDIA's release, the GPU once, and TensorRT with its version."""
        facts = facts_of(tmp_path, ORIN)
        assert (facts.soc, facts.l4t, facts.os) == ("nvidia,tegra234", "35.4.1", "Ubuntu 20.04.6 LTS")
        assert [item.name for item in facts.accelerators] == ["Jetson GPU"]
        (tensorrt,) = on_device_facts.tensorrt(str(tmp_path))
        assert (tensorrt["version"], tensorrt["place"]) == ("8.5.2", "/usr/src/tensorrt/bin")

    def test_cores_of_several_kinds(self, tmp_path: Path) -> None:
        """Apart by kind and by clock, the slowest first."""
        assert facts_of(tmp_path, ROCK5).clusters == (
            Cluster(cpu="Cortex-A55", cores=(0, 1, 2, 3), max_hz=1_800_000_000),
            Cluster(cpu="Cortex-A76", cores=(6, 7), max_hz=2_256_000_000),
            Cluster(cpu="Cortex-A76", cores=(4, 5), max_hz=2_400_000_000),
        )

    def test_nothing_readable(self, tmp_path: Path) -> None:
        """An odd board: every fact is empty, none is made up."""
        facts = facts_of(tmp_path, {})
        assert facts == DeviceFacts(machine="aarch64", userland="aarch64")

    @pytest.mark.parametrize("files", [PI4, PI5, ORIN, ROCK5, {}], ids=["pi4", "pi5", "orin", "rock5", "nothing"])
    def test_a_shell_tells_the_same(self, tmp_path: Path, files: dict[str, str]) -> None:
        """What the script prints of a board's files is read as the files are."""
        there = on_device_facts.facts_in(board(tmp_path, files))
        printed = "".join(f"\n{shell_facts.MARK} /{name}\n{content}" for name, content in files.items())
        told = shell_facts.read(b"Welcome to this board!\n" + printed.encode(), "/home/pi/.edgekit")
        assert {name: told[name] for name in there} == there

    def test_the_programs_are_old_pythons(self) -> None:
        """An old Jetson has Python 3.6."""
        ast.parse(Path(on_device_facts.__file__).read_text(), feature_version=(3, 6))


class TestTarget:
    """Which profile is proposed, and why."""

    PI = Device(name="pi", url="ssh://pi")

    @pytest.mark.parametrize(
        ("model", "target"),
        [
            ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberrypi3"),
            ("Raspberry Pi 4 Model B Rev 1.4", "raspberrypi4"),
            ("Raspberry Pi 400 Rev 1.0", "raspberrypi4"),
            ("Raspberry Pi Compute Module 4 Rev 1.0", "raspberrypi4"),
            ("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi5"),
            ("Raspberry Pi Zero 2 W Rev 1.0", "raspberrypizero2w"),
            ("NVIDIA Jetson Nano Developer Kit", "jetson-nano"),
            ("NVIDIA Jetson Xavier NX Developer Kit", "jetson-xavier-nx"),
            ("NVIDIA Jetson Orin Nano Developer Kit", "jetson-orin-nano"),
            ("NVIDIA Jetson AGX Orin Developer Kit", "jetson-agx-orin"),
        ],
    )
    def test_a_board_is_known_by_its_model(self, model: str, target: str) -> None:
        """As its device tree has it."""
        proposal = propose_target(self.PI, DeviceFacts(machine="aarch64", userland="aarch64", model=model))
        assert proposal.target == target
        assert model in proposal.why

    @pytest.mark.parametrize(
        ("model", "userland", "target", "why"),
        [
            ("Radxa ROCK 5B", "aarch64", "linux-aarch64", "No profile is of a board called 'Radxa ROCK 5B'"),
            ("", "x86_64", "linux-x86_64", "does not say which board"),
            ("Raspberry Pi 4 Model B", "armv7l", "linux-armv7", "raspberrypi4, but its programs are not aarch64"),
            ("", "riscv64", "", "no profile for riscv64"),
            ("", "", "", "no profile for an unknown processor"),
        ],
    )
    def test_others_by_what_their_programs_are_of(self, model: str, userland: str, target: str, why: str) -> None:
        """A 32-bit system on a 64-bit board takes other wheels."""
        proposal = propose_target(self.PI, DeviceFacts(machine="aarch64", userland=userland, model=model))
        assert proposal.target == target
        assert why in proposal.why

    def test_this_machine_is_the_host(self) -> None:
        """Whatever it says of itself."""
        facts = DeviceFacts(machine="x86_64", userland="x86_64", model="Raspberry Pi 4")
        assert propose_target(Device(name="here", url="local:"), facts).target == "host"

    def test_a_users_profile_can_name_its_board(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The longest likeness wins; a profile that extends another does not take its boards along."""
        (tmp_path / "edgekit.toml").write_text(
            '[targets.plain]\nextends = "raspberrypi4"\n'
            '[targets.camera]\nextends = "raspberrypi4"\nboards = ["raspberry pi 4 model b rev 1.5"]\n'
            "[targets.wrong]\nboards = 3\n"
        )
        monkeypatch.chdir(tmp_path)
        facts = DeviceFacts(machine="aarch64", userland="aarch64", model="Raspberry Pi 4 Model B Rev 1.5")
        assert propose_target(self.PI, facts).target == "camera"
        older = msgspec.structs.replace(facts, model="Raspberry Pi 4 Model B Rev 1.4")
        assert propose_target(self.PI, older).target == "raspberrypi4"


@pytest.mark.parametrize(
    ("machine", "bits", "userland"),
    [
        ("aarch64", 64, "aarch64"),
        ("aarch64", 32, "armv7l"),
        ("armv7l", 32, "armv7l"),
        ("x86_64", 32, "i686"),
        ("arm64", 64, "aarch64"),
    ],
)
def test_a_64_bit_kernel_may_have_32_bit_programs(machine: str, bits: int, userland: str) -> None:
    """`uname -m` says the kernel's name all the same."""
    assert on_device_facts.userland(machine, bits) == userland


def test_runtimes_are_those_of_the_path_and_ours(tmp_path: Path) -> None:
    """By what installers leave behind; other packages are not told."""
    system, own = tmp_path / "site", tmp_path / "home" / "runtimes" / "litert" / "current"
    for folder in ("numpy-1.24.2.egg-info", "tflite_runtime-2.14.0.dist-info", "requests-2.0.dist-info"):
        (system / folder).mkdir(parents=True)
    (own / "ai_edge_litert-2.3.0.dist-info").mkdir(parents=True)
    found = on_device_facts.runtimes(["", str(system), str(tmp_path / "none")], str(tmp_path / "home"))
    assert [(item["name"], item["version"], item["ours"]) for item in found] == [
        ("numpy", "1.24.2", False),
        ("tflite-runtime", "2.14.0", False),
        ("ai-edge-litert", "2.3.0", True),
    ]


@pytest.mark.parametrize(
    ("text", "libc"),
    [
        ("glibc 2.36\n", "glibc 2.36"),
        ("ldd (Debian GLIBC 2.31-13+deb11u5) 2.31\nCopyright", "glibc 2.31"),
        ("musl libc (aarch64)\nVersion 1.2.3\nDynamic Program Loader", "musl 1.2.3"),
        ("/lib/ld-musl-aarch64.so.1\n", "musl"),
        ("sh: ldd: not found\n", ""),
        ("", ""),
    ],
)
def test_the_c_library_of_a_device_without_python(text: str, libc: str) -> None:
    """By getconf, or by what ldd says."""
    printed = f"\n{shell_facts.MARK} =libc\n{text}"
    assert shell_facts.read(printed.encode(), "/")["libc"] == libc


def test_no_path_that_a_device_tells_leaves_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not asked for is not written."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "a" / "b"))
    (tmp_path / "a" / "b").mkdir(parents=True)
    names = ("/../../escaped", "/proc/../../../escaped", "../escaped", f"/{'x' * 5000}", "/proc", "/proc/x", "/a b")
    printed = "".join(f"\n{shell_facts.MARK} {name}\nX" for name in names)
    assert shell_facts.read(printed.encode(), "/")["model"] == ""
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


@contextmanager
def opened(url: str) -> Iterator[Link]:
    """A link to a device."""
    device = parse_device(url)
    with catalog.transport(device.scheme).open(device, timeout_s=5) as link:
        yield link


class WithoutPython:
    """A device like another, but without Python."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.run, self.push, self.pull, self.home = link.run, link.push, link.pull, link.home

    def python(self) -> str:
        """There is none."""
        raise DeviceError("It has no python3.")


def check_this_machine(facts: DeviceFacts) -> None:
    """What must be told of the machine that the tests run on."""
    assert facts.machine == platform.machine()
    assert facts.kernel == f"{platform.system()} {platform.release()}"
    assert facts.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert facts.cores == len(os.sched_getaffinity(0))
    assert facts.libc == " ".join(platform.libc_ver())
    assert facts.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert 0 < facts.disk_free_bytes < facts.disk_total_bytes
    assert facts.uptime_s > 0


def test_this_machine() -> None:
    """`edgekit.probe` without a device; the folder that is edgekit's need not be there yet."""
    facts = edgekit.probe()
    check_this_machine(facts)
    assert facts.python == PythonFacts(
        executable=sys.executable,
        version=platform.python_version(),
        implementation="cp",
        abi=f"cp{sys.version_info.major}{sys.version_info.minor}",
        soabi=f"cpython-{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}-linux-gnu",
    )
    assert "numpy" in {item.name for item in facts.runtimes}
    assert not Path(facts.home).exists()


def test_this_machine_without_python() -> None:
    """A plain shell tells as much, but for what only Python knows."""
    with opened("local:") as link:
        facts, plain = catalog.probe().describe(link), catalog.probe().describe(WithoutPython(link))
    check_this_machine(plain)
    assert plain.python is None
    moving = {"python", "runtimes", "uptime_s", "load1", "disk_free_bytes", "temperature_c"}
    for name in set(DeviceFacts.__struct_fields__) - moving:
        assert getattr(plain, name) == getattr(facts, name), name


@pytest.mark.peer
def test_a_device_over_ssh(ssh_device: str) -> None:
    """The same program and the same script, through a login there; a runtime of ours is found."""
    home = Path(parse_device(ssh_device).options["home"])
    (home / "runtimes" / "litert" / "current" / "ai_edge_litert-9.9.dist-info").mkdir(parents=True)
    with opened(f"{ssh_device}&python={sys.executable}") as link:
        facts, plain = catalog.probe().describe(link), catalog.probe().describe(WithoutPython(link))
    check_this_machine(facts)
    check_this_machine(plain)
    assert facts.home == str(home)
    assert [item.version for item in facts.runtimes if item.ours] == ["9.9"]


def test_one_device_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name will do; a group of several will not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgekit.toml").write_text('[devices.a]\nurl = "local:"\n[devices.b]\nurl = "local:?x=1"\n')
    assert edgekit.probe("a").machine == platform.machine()
    with pytest.raises(UsageError):
        edgekit.probe("group:all")
    with pytest.raises(UsageError):
        edgekit.probe("c")


class Liar:
    """A device that answers whatever it likes."""

    def __init__(self, stdout: bytes, *, stderr: bytes = b"", returncode: int = 0, python: str = "python3") -> None:
        self._done = Completed(returncode=returncode, stdout=stdout, stderr=stderr)
        self._python = python

    def run(
        self,
        argv: Sequence[str],  # noqa: ARG002 - the protocol's
        *,
        stdin: Any = b"",  # noqa: ARG002 - as above
        timeout_s: float,  # noqa: ARG002 - as above
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Say it, line by line."""
        for line in self._done.stdout.splitlines():
            if on_line:
                on_line(line)
        return self._done

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Nothing is sent."""

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """Nothing is fetched."""

    def python(self) -> str:
        """What was given."""
        if not self._python:
            raise DeviceError("It has no python3.")
        return self._python

    def home(self) -> PurePosixPath:
        """Somewhere."""
        return PurePosixPath("/home/user")


FACTS: dict[str, Any] = {"machine": "aarch64", "userland": "aarch64"}


def answer(**changes: Any) -> bytes:
    """Facts as a device prints them, with something else in them."""
    return json.dumps({**FACTS, **changes}).encode()


def test_a_greeting_is_passed_over() -> None:
    """What a login prints before and after."""
    link = Liar(b"Welcome!\n{not facts}\n" + answer(model="Board") + b"\nBye.\n")
    assert catalog.probe().describe(link).model == "Board"


def test_nothing_that_a_terminal_would_obey_comes_through() -> None:
    """Escape sequences and line ends in texts, keys and lists."""
    link = Liar(answer(model="Pi\x1b[2J\n4\u202e", temperature_c={"a\x1b": 1.0}, governor=["x\ry"]))
    facts = catalog.probe().describe(link)
    assert all(text.isprintable() for text in (facts.model, *facts.temperature_c, *facts.governor))


@pytest.mark.parametrize(
    ("stdout", "cause"),
    [
        (b"", "did not describe itself"),
        (b"\xff\xfe\x00garbage\n" * 100, "did not describe itself"),
        (b"{", "is damaged"),
        (b'{"machine": ' * 3000, "is damaged"),
        (b"{" + b"[" * 100_000, "is damaged"),
        (b'{"machine": "\xff\xff"}', "is damaged"),
        (b"{}", "missing required field `machine`"),
        (answer(cores=-1), r"\$.cores"),
        (answer(cores="four"), r"\$.cores"),
        (answer(clusters={"a": 1}), r"\$.clusters"),
        (answer(kind="imaginary"), r"\$.kind"),
        (answer(temperature_c=[1]), r"\$.temperature_c"),
        (answer(python="3.11"), r"\$.python"),
        (answer(uptime_s=None), r"\$.uptime_s"),
        (b'{"machine": 1e999, "userland": "x"}', "is damaged|that cannot be"),
        (answer() + b" " * (5 << 20), "does not stop describing itself"),
        (b"y\n" * (3 << 20), "does not stop describing itself"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(stdout: bytes, cause: str) -> None:
    """Not JSON, without end, of other types, of other values: a DeviceError, whatever it is."""
    with pytest.raises(DeviceError, match=cause) as caught:
        catalog.probe().describe(Liar(stdout))
    assert caught.value.hint


def test_an_interpreter_that_fails_is_quoted() -> None:
    """Python 2, or one before 3.6, knows the syntax not."""
    link = Liar(b"", stderr=b"  File x\n\x1b[31mSyntaxError: invalid syntax\n", returncode=1)
    with pytest.raises(DeviceError, match=r"exit 1, .*SyntaxError: invalid syntax") as caught:
        catalog.probe().describe(link)
    assert "Python 3.6" in caught.value.hint
    assert "\x1b" not in caught.value.cause


@pytest.mark.parametrize(
    ("stdout", "cause"),
    [
        (b"", "did not describe itself"),
        (b"command not found\n", "did not describe itself"),
        (f"{shell_facts.MARK} /proc/meminfo\nMemTotal:\n".encode(), "not what Linux writes"),
        (f"{shell_facts.MARK} /proc/uptime\nlong\n".encode(), "not what Linux writes"),
        (f"{shell_facts.MARK} /proc/meminfo\nMemTotal: -5 kB\n".encode(), "memory_bytes"),
    ],
)
def test_a_shell_that_tells_nonsense_is_refused(stdout: bytes, cause: str) -> None:
    """The same, of a device without Python."""
    with pytest.raises(DeviceError, match=cause) as caught:
        catalog.probe().describe(Liar(stdout, python=""))
    assert caught.value.hint


PIXEL = """
@edgekit@ =machine
aarch64
@edgekit@ =android
[ro.board.platform]: [gs101]
[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.build.version.security_patch]: [2024-01-05]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 6]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [GS101]
[persist.odd]: [a]: [b]
"""
"""As getprop prints them (AOSP system/core, toolbox/getprop.cpp)."""


def test_a_phone_by_its_properties() -> None:
    """Files tell little there; properties do."""
    facts = shell_facts.read(PIXEL.encode(), "/data/local/tmp/edgekit")
    assert facts["model"] == "Google Pixel 6"
    assert facts["os"] == "Android 14 (API 34, patched 2024-01-05)"
    assert (facts["soc"], facts["userland"], facts["libc"]) == ("Google GS101", "aarch64", "bionic")


def test_a_32_bit_phone_on_a_64_bit_kernel() -> None:
    """What programs are of is what counts; a maker's name is not said twice."""
    text = PIXEL.replace("arm64-v8a,", "").replace("[Pixel 6]", "[google phone]")
    facts = shell_facts.read(text.encode(), "/data")
    assert (facts["machine"], facts["userland"], facts["model"]) == ("aarch64", "armv7l", "google phone")
