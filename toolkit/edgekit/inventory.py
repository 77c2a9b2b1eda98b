"""The user's devices by name: `[devices.NAME]` in `./edgekit.toml`, with `url` and, if wished, `target` and `tags`.

Wherever a device is asked for, a name, `group:TAG` or a URL will do: `find_devices` reads all three.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import UsageError
from edgekit.paths import data_folder
from edgekit.project_file import PROJECT_FILE, read_text, read_toml, replace_text, with_table, without_table
from edgekit.suggest import did_you_mean

GROUP: Final = "group:"
"""Before a tag: every device that has it."""

EVERY: Final = "all"
"""The tag that every device has, unless some have it in writing."""

_TABLE: Final = "devices"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NAME_RULE: Final = "A name is of small letters, digits, `.`, `_` and `-`, and begins with a letter or digit."


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device: what to call it, and where it is.

    Attributes:
        name: The name in the inventory, or of a virtual device; the URL itself for one that has no name.
        url: The device's URL.
        target: The target profile; empty when nobody said.
        tags: What groups it belongs to.
    """

    name: str
    url: str
    target: str = ""
    tags: tuple[str, ...] = ()


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device as it is written."""

    url: str
    target: str = ""
    tags: tuple[str, ...] = ()


def find_devices(text: str) -> tuple[Device, ...]:
    """The devices that a user names: a URL, a name of the inventory, a virtual device's name, or `group:TAG`.

    Raises:
        UsageError: There is no such device, group or transport; or the inventory is wrong.
    """
    if text.startswith(GROUP):
        return _find_group(text.removeprefix(GROUP))
    if ":" in text:
        catalog.check_scheme(parse_device(text).scheme)
        return (_virtual_devices().get(text, Device(name=text, url=text)),)
    known = {device.name: device for device in (*_virtual_devices().values(), *load_inventory())}
    if text in known:
        return (known[text],)
    raise UsageError(f"There is no device {text!r}.", hint=_unknown_hint(text, list(known)))


def _find_group(tag: str) -> tuple[Device, ...]:
    listed = load_inventory()
    tags = {tag for device in listed for tag in device.tags}
    if tag == EVERY and tag not in tags and listed:
        return listed
    if tag in tags:
        return tuple(device for device in listed if tag in device.tags)
    if not listed:
        raise UsageError(f"{PROJECT_FILE} lists no devices.", hint="Add one: edgekit devices add NAME ssh://user@host")
    raise UsageError(f"No device has the tag {tag!r}.", hint=did_you_mean(tag, {*tags, EVERY}, "tags"))


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a virtual device's record says that matters here."""

    name: str
    target: str


def _virtual_devices() -> dict[str, Device]:
    """By URL: each has a folder with its record."""
    devices = {}
    for file in sorted((data_folder() / "virtual").glob("*/record.json")):
        with suppress(OSError, msgspec.DecodeError):
            record = msgspec.json.decode(file.read_bytes(), type=_Record)
            url = f"virtual:{record.name}"
            devices[url] = Device(name=record.name, url=url, target=record.target)
    return devices


def _unknown_hint(text: str, known: Sequence[str]) -> str:
    if text in _schemes():
        return f"For a URL the colon belongs to it: {text}:"
    if not known:
        return f"Write its URL (ssh://user@host), or add it: edgekit devices add {text or 'NAME'} ssh://user@host"
    return did_you_mean(text, known, "devices")


def load_inventory() -> tuple[Device, ...]:
    """Every device of `./edgekit.toml`, in its order; none without that file.

    Raises:
        UsageError: The file is not TOML, or a device is wrong: file, key and reason.
    """
    file = Path(PROJECT_FILE)
    if not file.is_file():
        return ()
    tables = read_toml(file).get(_TABLE, {})
    if not isinstance(tables, dict):
        raise UsageError(f"{file}: `{_TABLE}` is not a table.", hint="Write [devices.NAME] above each device's keys.")
    return tuple(_read(name, values, file) for name, values in tables.items())


def _read(name: str, values: Any, file: Path) -> Device:
    place = f"{file} [{_TABLE}.{name}]"
    check_name(name, place=f"{place}: ")
    if not isinstance(values, dict):
        raise UsageError(f"{place} is not a table of a device's keys.", hint=f'Write [{_TABLE}.{name}] and url = "…"')
    try:
        entry = msgspec.convert(values, _Entry)
    except msgspec.ValidationError as error:
        raise UsageError(_where_and_why(place, str(error)), hint=_key_hint(str(error))) from None
    return Device(name=name, url=entry.url, target=entry.target, tags=entry.tags)


def _where_and_why(place: str, reason: str) -> str:
    """A validation error of msgspec, worded with file and key: `Expected str, got int - at $.url`."""
    why, _, path = reason.replace("`", "").partition(" - at $.")
    return f"{place}: the key `{path}` is wrong: {why}." if path else f"{place}: {why}."


def _key_hint(reason: str) -> str:
    unknown = re.search(r"unknown field `(.+?)`", reason)
    if unknown is None:
        return 'A device is written as url = "ssh://user@host", target = "raspberrypi4", tags = ["lab"].'
    return did_you_mean(unknown[1], _Entry.__struct_fields__, "keys")


def check_name(name: str, *, place: str = "") -> None:
    """Refuse what cannot be a device's name.

    Raises:
        UsageError: It has other characters, or means something already.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{place}{name!r} cannot be a device's name.", hint=_NAME_RULE)
    if name in {*_schemes(), GROUP.rstrip(":")}:
        raise UsageError(f"{place}a device cannot be called {name!r}, which begins a URL.", hint="Call it otherwise.")


def _schemes() -> set[str]:
    """Those that a transport reaches, and those that one will."""
    return {"adb", "serial", *(transport.scheme for transport in catalog.transports())}


def add_device(device: Device) -> None:
    """Write a device into `./edgekit.toml`; comments and order of what is there stay.

    Raises:
        UsageError: The name is taken or cannot be one, the URL or the target is wrong, or the file cannot be written.
    """
    check_name(device.name)
    if device.name in {item.name for item in load_inventory()}:
        raise UsageError(
            f"{PROJECT_FILE} has a device {device.name!r} already.",
            hint=f"Choose another name, or remove it first: edgekit devices remove {device.name}",
        )
    catalog.check_scheme(parse_device(device.url).scheme)
    if device.target:
        catalog.targets().load(device.target)
    keys = {"url": device.url, "target": device.target, "tags": list(device.tags)}
    file = Path(PROJECT_FILE).resolve()
    replace_text(file, with_table(read_text(file), _TABLE, device.name, {key: keys[key] for key in keys if keys[key]}))


def remove_device(name: str) -> None:
    """Take a device out of `./edgekit.toml`; everything else in it stays as it is.

    Raises:
        UsageError: There is no such device, or the file cannot be written.
    """
    known = [device.name for device in load_inventory()]
    if name not in known:
        hint = did_you_mean(name, known, "devices") if known else f"{PROJECT_FILE} lists no devices."
        raise UsageError(f"There is no device {name!r} in {PROJECT_FILE}.", hint=hint)
    file = Path(PROJECT_FILE).resolve()
    replace_text(file, without_table(read_text(file), _TABLE, name))
