"""The inventory: devices by name in `./edgekit.toml`, found, added and removed without touching what else is there."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.inventory import Device, add_device, find_devices, load_inventory, remove_device

PI4 = Device(name="pi4", url="ssh://pi@pi4.local", target="raspberrypi4", tags=("lab", "arm"))
NANO = Device(name="nano", url="ssh://nano@10.0.0.9:2222", tags=("lab",))

INVENTORY = """\
# The lab's devices.
[devices.pi4]  # on the shelf
url = "ssh://pi@pi4.local"
target = "raspberrypi4"
tags = ["lab", "arm"]

# [devices.old]
# url = "ssh://gone"

[devices.nano]
url = "ssh://nano@10.0.0.9:2222"
tags = ["lab"]

# Our own boards.
[targets.camera]
extends = "raspberrypi4"
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own; its `edgekit.toml`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "edgekit.toml"


def refusal(text: str) -> UsageError:
    """How a device is not found."""
    with pytest.raises(UsageError) as caught:
        find_devices(text)
    return caught.value


@pytest.mark.parametrize("url", ["local:", "ssh://pi@pi4.local:22", "virtual:pi4", "serial:/dev/ttyUSB0"])
def test_a_url_is_a_device_without_an_inventory(project: Path, url: str) -> None:
    """Not even one that is wrong is looked at."""
    project.write_text("not = = toml")
    assert find_devices(url) == (Device(name=url, url=url),)


def test_a_name_is_found_with_what_is_written(project: Path) -> None:
    """URL, target and tags."""
    project.write_text(INVENTORY)
    assert find_devices("pi4") == (PI4,)
    assert load_inventory() == (PI4, NANO)


def test_a_group_is_every_device_with_the_tag(project: Path) -> None:
    """In the order of the file; `all` is every device."""
    project.write_text(INVENTORY)
    assert find_devices("group:lab") == find_devices("group:all") == (PI4, NANO)
    assert find_devices("group:arm") == (PI4,)


def test_all_can_be_a_tag(project: Path) -> None:
    """Then it means what is written."""
    project.write_text(INVENTORY.replace('"arm"', '"all"'))
    assert [device.name for device in find_devices("group:all")] == ["pi4"]


EMULATED = Device(name="emulated", url="virtual:emulated", target="raspberrypi4")


def test_a_virtual_device_is_found_by_its_record(project: Path) -> None:
    """After the inventory's names; with the profile that it was made for, by its URL too. A damaged one is none."""
    folder = Path(os.environ["EDGEKIT_DATA"]) / "virtual"
    for name in ("pi4", "emulated", "odd"):
        (folder / name).mkdir(parents=True)
        record = {"name": name, "target": "raspberrypi4"}
        (folder / name / "record.json").write_text("{" if name == "odd" else json.dumps(record))
    project.write_text(INVENTORY)
    assert find_devices("emulated") == (EMULATED,)
    assert find_devices("virtual:emulated") == (EMULATED,)
    with pytest.raises(UsageError, match="There is no device 'odd'"):
        find_devices("odd")
    assert find_devices("pi4") == (PI4,)
    assert "no device '..'" in refusal("..").cause


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ("pi5", "no device 'pi5'", "Did you mean pi4"),
        ("local", "no device 'local'", "local:"),
        ("", "no device ''", "Known devices: nano, pi4"),
        ("group:lap", "No device has the tag 'lap'", "Did you mean lab"),
        ("group:", "No device has the tag ''", "Known tags: all, arm, lab"),
        ("shh://pi", "No transport reaches shh: devices", "Did you mean ssh"),
        ("telnet://pi4.local", "No transport reaches telnet: devices", ""),
        ("ssh://pi:secret@host", "must not hold a password", ""),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest(project: Path, text: str, cause: str, hint: str) -> None:
    """A UsageError: exit code 2."""
    project.write_text(INVENTORY)
    error = refusal(text)
    assert cause in error.cause
    assert hint in error.hint


def test_without_an_inventory_the_hint_is_how_to_begin(project: Path) -> None:
    """There is nothing that could have been meant."""
    assert not project.exists()
    assert "edgekit devices add pi4 ssh://" in refusal("pi4").hint
    assert "edgekit devices add" in refusal("group:all").hint


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        ("[devices.pi4]\nurl = 3", "[devices.pi4]: the key `url` is wrong: Expected str, got int", "url ="),
        ('[devices.pi4]\ntarget = "host"', "missing required field url", "url ="),
        ('[devices.pi4]\nurl = "ssh://a"\ntag = ["x"]', "unknown field tag", "Did you mean tags"),
        ('[devices.pi4]\nurl = "ssh://a"\ntags = "x"', "the key `tags` is wrong: Expected array, got str", "tags ="),
        ('[devices]\npi4 = "ssh://a"', "[devices.pi4] is not a table", "[devices.pi4]"),
        ("devices = 3", "`devices` is not a table", "[devices.NAME]"),
        ('[devices.PI4]\nurl = "ssh://a"', "'PI4' cannot be a device's name", "small letters"),
        ('[devices.ssh]\nurl = "ssh://a"', "cannot be called 'ssh'", ""),
        ("[devices.pi4\nurl =", "edgekit.toml is not TOML", "line 1"),
        ("\xff", "edgekit.toml is not TOML", ""),
    ],
)
def test_a_wrong_inventory_is_told_with_file_key_and_reason(project: Path, text: str, cause: str, hint: str) -> None:
    """Whatever is asked of it."""
    project.write_bytes(text.encode("latin-1"))
    error = refusal("pi4")
    assert "edgekit.toml" in error.cause
    assert cause in error.cause
    assert hint in error.cause + error.hint


def test_the_first_device_makes_the_file(project: Path) -> None:
    """With the keys that say something."""
    add_device(NANO)
    assert project.read_text() == '[devices.nano]\nurl = "ssh://nano@10.0.0.9:2222"\ntags = ["lab"]\n'
    assert load_inventory() == (NANO,)


def test_added_after_the_last_device_and_removed_again(project: Path) -> None:
    """Comments, order and every other table are as they were, to the byte."""
    project.write_text(INVENTORY)
    new = Device(name="cam.front", url='ssh://a"b', target="host")
    add_device(new)
    assert load_inventory() == (PI4, NANO, new)
    text = project.read_text()
    before, after = INVENTORY.split("\n# Our own boards.")
    assert text.startswith(before)
    assert text.endswith("\n# Our own boards." + after)
    remove_device("cam.front")
    assert project.read_text() == INVENTORY


def test_removing_keeps_the_comments_around(project: Path) -> None:
    """A device that is commented out below it stays."""
    project.write_text(INVENTORY)
    remove_device("pi4")
    text = project.read_text()
    for comment in ("# The lab's devices.", '# [devices.old]\n# url = "ssh://gone"', "# Our own boards."):
        assert comment in text
    assert load_inventory() == (NANO,)


FORMS = {
    "another table between": '[devices.a]\nurl = "ssh://a"\n[other]\nx = 1\n[devices.b]\nurl = "ssh://b"\n',
    "inline entries": '[devices]\na = { url = "ssh://a" } # here\nb = { url = "ssh://b" }\n\n[other]\nx = 1\n',
    "dotted keys": 'devices.a.url = "ssh://a"\ndevices.b.url = "ssh://b"\n[other]\nx = 1\n',
    "quoted names": '[ devices . "a" ]\nurl = "ssh://a"\n[devices.\'b\']\nurl = "ssh://b"\n[other]\nx=1\n',
    "line ends of Windows": '[devices.a]\r\nurl = "ssh://a"\r\n[devices.b]\r\nurl = "ssh://b"\r\n[other]\r\nx = 1\r\n',
    "no line end": '[other]\nx = 1\n[devices.b]\nurl = "ssh://b"\n[devices.a]\nurl = "ssh://a"',
    "a header in a text": 'x = """\n[devices.a]\n"""\n[devices.a]\nurl = "ssh://a"\n[devices.b]\nurl = "ssh://b"\n',
    "lists over lines": '[devices.a]\nurl = "ssh://a"\ntags = [\n  "x", # why\n]\n[devices.b]\nurl = "ssh://b"\n',
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_every_way_to_write_devices_can_be_edited(project: Path, text: str) -> None:
    """What else the file says stays the same."""
    project.write_bytes(text.encode())
    said = tomllib.loads(text)
    add_device(NANO)
    with_nano = {**said["devices"], "nano": {"url": NANO.url, "tags": ["lab"]}}
    assert tomllib.loads(project.read_bytes().decode()) == {**said, "devices": with_nano}
    remove_device("nano")
    assert tomllib.loads(project.read_bytes().decode()) == said
    remove_device("a")
    del said["devices"]["a"]
    assert tomllib.loads(project.read_bytes().decode()) == said
    assert (b"\r\n" in project.read_bytes()) == ("\r\n" in text)


def test_a_form_that_cannot_be_edited_is_left_alone(project: Path) -> None:
    """An inline table is closed: the user is told what to do, and the file is as it was."""
    text = 'devices = { a = { url = "ssh://a" } }\n'
    project.write_text(text)
    with pytest.raises(UsageError, match=r"cannot change edgekit\.toml") as caught:
        add_device(NANO)
    assert "by hand" in caught.value.hint
    assert project.read_text() == text


@pytest.mark.parametrize(
    ("device", "cause"),
    [
        (PI4, "has a device 'pi4' already"),
        (Device(name="Pi", url="local:"), "cannot be a device's name"),
        (Device(name="-pi", url="local:"), "cannot be a device's name"),
        (Device(name="group", url="local:"), "cannot be called 'group'"),
        (Device(name="local", url="local:"), "cannot be called 'local'"),
        (Device(name="a", url="pi4.local"), "has no scheme"),
        (Device(name="a", url="ssh://pi4:port"), "not a device URL"),
        (Device(name="a", url="telnet://pi4"), "No transport reaches telnet:"),
        (Device(name="a", url="local:", target="raspberrypie4"), "no target 'raspberrypie4'"),
    ],
)
def test_a_bad_device_is_not_added(project: Path, device: Device, cause: str) -> None:
    """Nothing is written."""
    project.write_text(INVENTORY)
    with pytest.raises(UsageError) as caught:
        add_device(device)
    assert cause in caught.value.cause
    assert project.read_text() == INVENTORY


def test_an_unknown_device_is_not_removed(project: Path) -> None:
    """The nearest is named."""
    project.write_text(INVENTORY)
    with pytest.raises(UsageError, match="no device 'nan'") as caught:
        remove_device("nan")
    assert "nano" in caught.value.hint
    assert project.read_text() == INVENTORY


def test_a_link_to_the_file_stays_one_and_so_does_who_may_read_it(project: Path) -> None:
    """The file that is meant is the one at the link's end."""
    shared = project.with_name("shared.toml")
    shared.write_text(INVENTORY)
    shared.chmod(0o600)
    project.symlink_to(shared)
    add_device(Device(name="here", url="local:"))
    assert project.is_symlink()
    assert "[devices.here]" in shared.read_text()
    assert shared.stat().st_mode & 0o777 == 0o600
