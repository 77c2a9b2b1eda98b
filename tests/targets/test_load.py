"""A user's own profiles are found, and one that is wrong is refused with file, key and reason."""

import os
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit.errors import UsageError
from edgekit.target import PROFILE_VERSION

CAMERA = """
extends = "raspberrypi4"
title = "Door camera"
memory_bytes = 2_147_483_648
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write(text: str, name: str = "camera") -> Path:
    """A profile in the config folder."""
    file = Path(os.environ["EDGEKIT_CONFIG"]) / "targets" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _refused(name: str = "camera") -> UsageError:
    with pytest.raises(UsageError) as caught:
        catalog.targets().load(name)
    return caught.value


def test_a_profile_in_the_config_folder_extends_one_of_ours() -> None:
    """Keys that it writes replace those of the other; the name is the file's."""
    _write(CAMERA)
    profile, base = catalog.targets().load("camera"), catalog.targets().load("raspberrypi4")
    assert (profile.name, profile.title, profile.memory_bytes) == ("camera", "Door camera", 2**31)
    assert (profile.cpu, profile.runtimes) == (base.cpu, base.runtimes)
    assert "camera" in catalog.targets().names()


def test_the_project_file_comes_before_the_config_folder_and_both_before_ours(project: Path) -> None:
    """The nearest place wins."""
    _write(CAMERA.replace("Door camera", "Far"))
    _write('extends = "linux-aarch64"\ntitle = "Mine"\n', "raspberrypi3")
    project.joinpath("edgekit.toml").write_text(f"[targets.camera]{CAMERA.replace('Door camera', 'Near')}")
    assert catalog.targets().load("camera").title == "Near"
    assert catalog.targets().load("raspberrypi3").title == "Mine"


def test_this_machine_can_be_extended_but_not_replaced(project: Path) -> None:
    """`host` always is what is found here."""
    _write('extends = "host"\ntitle = "This machine, two cores"\n')
    assert catalog.targets().load("camera").arch == catalog.targets().load("host").arch
    project.joinpath("edgekit.toml").write_text("[targets.host]\ntitle = 'Mine'\n")
    assert "cannot be called host" in _refused().cause


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ('memory_bytes = "2 GB"', "memory_bytes", "Expected int, got str"),
        ("memory_bytes = -1", "memory_bytes", ">= 0"),
        ('arch = "arm"', "arch", "Invalid enum value 'arm'"),
        ('cpu = { model = "A72", cores = "four" }', "cpu.cores", "Expected int, got str"),
        ('cpu = { model = "A72" }', "cpu", "missing required field cores"),
        ('runtimes = [{ format = "tflite" }]', "runtimes[0]", "missing required field package"),
        ('title = ""', "title", "length >= 1"),
    ],
)
def test_a_wrong_value_is_refused_with_file_key_and_reason(line: str, key: str, reason: str) -> None:
    """What a user needs to mend it."""
    file = _write(f'extends = "raspberrypi4"\n{line}\n')
    cause = _refused().cause
    assert str(file) in cause
    assert f"`{key}`" in cause
    assert reason in cause


def test_a_misspelt_key_is_answered_with_the_nearest() -> None:
    """Unknown keys are never passed over."""
    _write(CAMERA.replace("memory_bytes", "memory_byte"))
    error = _refused()
    assert "memory_byte" in error.cause
    assert error.hint == "Did you mean memory_bytes?"


def test_a_missing_key_is_named() -> None:
    """Without `extends` everything is needed."""
    _write(f"profile_version = {PROFILE_VERSION}\n")
    assert "missing required field" in _refused().cause


def test_a_profile_of_a_newer_edgekit_is_refused() -> None:
    """By its version, before its keys are looked at."""
    _write(f"profile_version = {PROFILE_VERSION + 1}\nnew_key = 1\n")
    assert f"profile version {PROFILE_VERSION + 1}" in _refused().cause


def test_extending_nothing_or_oneself_is_refused() -> None:
    """With the way round that it goes."""
    _write('extends = "raspberypi4"')
    assert "raspberrypi4" in _refused().hint
    _write('extends = "other"')
    _write('extends = "camera"', "other")
    assert "camera → other → camera" in _refused().cause


def test_a_name_inside_that_is_another_is_refused() -> None:
    """The file's name is the name."""
    _write(f'name = "lamp"{CAMERA}')
    assert "'lamp'" in _refused().cause


@pytest.mark.parametrize("text", ["= 1", "title = 'open", "\0"])
def test_what_is_not_toml_is_refused_and_hurts_no_other(text: str) -> None:
    """The file is named; our profiles load all the same."""
    file = _write(text)
    assert f"{file} is not TOML" in _refused().cause
    assert "camera" in catalog.targets().names()
    assert catalog.targets().load("raspberrypi4").arch == "aarch64"


def test_a_project_file_that_is_not_toml_is_refused(project: Path) -> None:
    """Nobody can tell what it would have shadowed."""
    project.joinpath("edgekit.toml").write_text("[targets.\n")
    assert "edgekit.toml is not TOML" in _refused("raspberrypi4").cause
    project.joinpath("edgekit.toml").write_text("targets = 3\n")
    assert "not a table" in _refused("raspberrypi4").cause
    project.joinpath("edgekit.toml").write_text("[targets]\ncamera = 3\n")
    assert "not a table" in _refused().cause
