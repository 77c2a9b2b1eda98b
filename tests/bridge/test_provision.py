"""Runtimes onto devices: pip chooses from an index that is a folder, a real SSH server takes them."""

import sys
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit.device_facts import DeviceFacts, PythonFacts
from edgekit.errors import DeviceError, UsageError
from edgekit.paths import cache_folder
from edgekit.progress import SilentProgress
from edgekit.provisioning import provision, unprovision
from edgekit_bridge.provision import install
from edgekit_bridge.provision.wheels import fitting_tags, platforms_of, wheelhouse
from peers.wheels import WORKS, add_wheel, litert

SILENT = SilentProgress()

FAILS = {"ai_edge_litert/__init__.py": "raise ImportError('libgomp.so.1: cannot open shared object file')\n"}


@pytest.fixture
def device(ssh_device: str) -> str:
    """A device behind the real server, with the Python that runs the tests."""
    return f"{ssh_device}&python={sys.executable}"


@pytest.fixture
def runtimes(tmp_path: Path) -> Path:
    """Where they are on that device."""
    return tmp_path / "device" / "runtimes"


def installed(runtimes: Path) -> str:
    """The version of LiteRT that is in use."""
    (about,) = (runtimes / "litert" / "current").glob("ai_edge_litert-*.dist-info")
    return about.stem.split("-")[1]


@pytest.mark.slow
@pytest.mark.peer
class TestInstall:
    def test_there_and_in_use(self, device: str, index: Path, runtimes: Path) -> None:
        """It can be imported from its folder, and the probe sees it; the same again sends nothing."""
        litert(index)
        done = provision(device, runtime="litert")
        assert done.packages == {"ai-edge-litert": "2.3.0", "numpy": "2.4.0"}
        assert Path(done.folder) == runtimes / "litert" / "current"
        assert (Path(done.folder) / "ai_edge_litert/interpreter.py").is_file()
        assert done.sent_bytes > 0
        assert provision(device, runtime="litert").sent_bytes == 0

    def test_nothing_but_the_version_is_left(self, device: str, index: Path, runtimes: Path) -> None:
        """Neither wheels nor an older version."""
        litert(index, "2.2.0")
        provision(device, runtime="litert")
        litert(index, "2.3.0")
        provision(device, runtime="litert", upgrade=True)
        assert installed(runtimes) == "2.3.0"
        assert len(list((runtimes / "litert").iterdir())) == 2

    def test_a_version_that_is_asked_for(self, device: str, index: Path, runtimes: Path) -> None:
        """Older ones too."""
        for version in ("2.2.0", "2.3.0"):
            litert(index, version)
        provision(device, runtime="litert", version="2.2.0")
        assert installed(runtimes) == "2.2.0"
        provision(device, runtime="litert", version=">2.2")
        assert installed(runtimes) == "2.3.0"

    def test_without_a_network_once_downloaded(self, device: str, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before, it says how."""
        with pytest.raises(DeviceError, match="not in the cache") as caught:
            provision(device, runtime="litert", offline=True)
        assert "without --offline" in caught.value.hint
        litert(index)
        provision(device, runtime="litert")
        unprovision(device, runtime="litert")
        monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
        assert provision(device, runtime="litert", offline=True).sent_bytes > 0

    def test_wheels_with_data_folders(self, device: str, index: Path, runtimes: Path) -> None:
        """What goes to site-packages does; scripts and headers go nowhere (PEP 427)."""
        data = "ai_edge_litert-2.3.0.data"
        files = {
            f"{data}/purelib/pure.py": "",
            f"{data}/platlib/plat.py": "",
            f"{data}/scripts/script": "",
            f"{data}/headers/h.h": "",
        }
        litert(index, files=WORKS | files)
        provision(device, runtime="litert")
        current = runtimes / "litert" / "current"
        assert (current / "pure.py").is_file()
        assert (current / "plat.py").is_file()
        assert not list(current.rglob("script"))
        assert not list(current.rglob("h.h"))

    def test_removed(self, device: str, index: Path, runtimes: Path) -> None:
        """And again, which is no harm."""
        litert(index)
        provision(device, runtime="litert")
        assert unprovision(device, runtime="litert") == "litert"
        assert not (runtimes / "litert").exists()
        unprovision(device, runtime="litert")


@pytest.mark.slow
@pytest.mark.peer
class TestFailure:
    def test_one_that_does_not_import(self, device: str, index: Path, runtimes: Path) -> None:
        """The one before stays in use; what the import said is told, with what to do about it."""
        litert(index, "2.2.0")
        provision(device, runtime="litert")
        litert(index, "2.3.0", FAILS)
        with pytest.raises(DeviceError, match=r"does not work on the device: ImportError: libgomp\.so\.1") as caught:
            provision(device, runtime="litert", upgrade=True)
        assert "libgomp1" in caught.value.hint
        assert installed(runtimes) == "2.2.0"
        assert len(list((runtimes / "litert").iterdir())) == 2

    @pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", "a/../../evil.py", "a\\..\\evil.py"])
    def test_a_wheel_that_leads_elsewhere(self, name: str, device: str, index: Path, runtimes: Path) -> None:
        """Nothing of it is kept."""
        litert(index, files=WORKS | {name: ""})
        with pytest.raises(DeviceError, match="could not unpack"):
            provision(device, runtime="litert")
        assert not list(runtimes.parent.rglob("*evil*"))
        assert list((runtimes / "litert").iterdir()) == []

    def test_a_damaged_wheel_in_the_cache(self, device: str, index: Path) -> None:
        """With how to get another."""
        litert(index)
        provision(device, runtime="litert")
        unprovision(device, runtime="litert")
        (wheel,) = cache_folder().glob("wheels/*/ai_edge_litert-*.whl")
        wheel.write_bytes(wheel.read_bytes()[:100])
        with pytest.raises(DeviceError, match="damaged") as caught:
            provision(device, runtime="litert")
        assert "--upgrade" in caught.value.hint
        assert provision(device, runtime="litert", upgrade=True).sent_bytes > 0

    def test_no_space(self, device: str, index: Path, runtimes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Known before anything is sent."""
        litert(index)
        monkeypatch.setattr(install, "_SPARE_BYTES", 1 << 60)
        with pytest.raises(DeviceError, match="No space left") as caught:
            provision(device, runtime="litert")
        assert "?home=" in caught.value.hint
        assert not runtimes.exists()

    def test_no_python(self, ssh_device: str, index: Path) -> None:
        """Named, with what to install."""
        litert(index)
        with pytest.raises(DeviceError, match="no-such-python"):
            provision(f"{ssh_device}&python=/usr/bin/no-such-python", runtime="litert")

    def test_a_runtime_that_is_none(self, device: str) -> None:
        """With those that are near."""
        with pytest.raises(UsageError, match="no runtime 'litter'") as caught:
            provision(device, runtime="litter")
        assert "litert" in caught.value.hint


def facts(libc: str = "glibc 2.36", userland: str = "aarch64") -> DeviceFacts:
    """A device."""
    return DeviceFacts(machine=userland, userland=userland, libc=libc)


PYTHON = PythonFacts(
    executable="/usr/bin/python3", version="3.11.2", implementation="cp", abi="cp311",
    soabi="cpython-311-aarch64-linux-gnu",
)  # fmt: skip


class TestFit:
    """What fits a device, without one."""

    def test_the_best_comes_first(self) -> None:
        """The newest C library that it has, down to the first that there are tags for."""
        found = platforms_of(facts())
        assert found[:2] == ["manylinux_2_36_aarch64", "manylinux_2_35_aarch64"]
        assert found[-3:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"]
        assert "manylinux1_x86_64" in platforms_of(facts(userland="x86_64"))
        assert platforms_of(facts("musl 1.2.3")) == ["musllinux_1_2_aarch64", "musllinux_1_1_aarch64"]

    @pytest.mark.parametrize("libc", ["", "bionic", "glibc", "uclibc 1.0"])
    def test_a_c_library_that_there_are_no_wheels_for(self, libc: str) -> None:
        """Named."""
        with pytest.raises(DeviceError, match="wheels for glibc and musl only"):
            platforms_of(facts(libc))

    def test_tags_are_the_device_s_and_not_ours(self) -> None:
        """A wheel of this machine's architecture does not fit."""
        tags = {str(tag) for tag in fitting_tags(facts(), PYTHON)}
        assert "cp311-cp311-manylinux_2_28_aarch64" in tags
        assert "py3-none-any" in tags
        assert not any("x86_64" in tag for tag in tags)

    def test_an_architecture_that_has_none(self, index: Path) -> None:
        """ONNX Runtime makes no wheels for 32-bit Arm."""
        add_wheel(index, "onnxruntime", "1.32.0", {}, tag="cp311-cp311-manylinux_2_28_aarch64")
        with pytest.raises(DeviceError, match="none for armv7l") as caught:
            wheelhouse(["onnxruntime", "numpy"], facts(userland="armv7l"), PYTHON, SILENT)
        assert "another runtime" in caught.value.hint

    def test_a_c_library_that_is_too_old(self, index: Path) -> None:
        """With what the wheels want."""
        litert(index, tag="cp311-cp311-manylinux_2_27_aarch64")
        with pytest.raises(DeviceError, match=r"there are some for cp311, glibc 2\.27 and newer") as caught:
            wheelhouse(["ai-edge-litert", "numpy"], facts("glibc 2.17"), PYTHON, SILENT)
        assert "older --version" in caught.value.hint
        assert list(cache_folder().glob("wheels/*")) == []

    def test_no_index_to_be_reached(self, index: Path) -> None:
        """Nothing is said of the device, which is not to blame."""
        assert index
        with pytest.raises(DeviceError, match="no-such-thing"):
            wheelhouse(["no-such-thing"], facts(), PYTHON, SILENT)


def test_every_runtime_names_what_the_harness_imports() -> None:
    """What can be installed is what profiles and the harness know."""
    packages = {"litert", "tflite-runtime", "onnxruntime", "torch", "executorch"}
    assert set(catalog.provisioner().names()) == packages | set(catalog.NATIVE.values())
