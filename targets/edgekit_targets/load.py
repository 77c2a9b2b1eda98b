"""Read a target profile: TOML in, a checked `TargetProfile` out.

A profile may begin with `extends = "NAME"`: it is that one with the keys replaced that it writes itself, whole tables
and lists at a time.
"""

import re
from typing import Any, Final

import msgspec

from edgekit import __version__
from edgekit.errors import UsageError
from edgekit.suggest import did_you_mean
from edgekit.target import PROFILE_VERSION, TargetProfile
from edgekit_targets.host import HOST, describe_host
from edgekit_targets.places import Place, find_places, read_place

_OWN: Final = {"name", "boards"}
"""Keys that a profile does not inherit: what calls itself so is the board that the base is of."""


def profile_names() -> tuple[str, ...]:
    """Every profile's name, `host` first.

    Raises:
        UsageError: `./edgekit.toml` is not TOML.
    """
    return (HOST, *sorted(find_places()))


def load_profile(name: str) -> TargetProfile:
    """The profile of this name.

    Raises:
        UsageError: There is none, or it is wrong where it is written: file, key and reason.
    """
    if name == HOST:
        return describe_host()
    places = find_places()
    if name not in places:
        known = (HOST, *places)
        raise UsageError(f"There is no target {name!r}.", hint=did_you_mean(name, known, "targets"))
    values, place = _extended(name, places, ()), places[name]
    if values.setdefault("name", name) != name:
        raise UsageError(f"{place}: the key `name` is {values['name']!r}; leave it out, its place gives the name.")
    return _checked(values, place)


def _extended(name: str, places: dict[str, Place], below: tuple[str, ...]) -> dict[str, Any]:
    """What is written for a profile, over what it extends."""
    place = places[name]
    values = read_place(place)
    base = values.pop("extends", None)
    if base is None:
        return values
    if base == HOST:
        inherited: dict[str, Any] = msgspec.to_builtins(describe_host())
    elif base in (*below, name):
        raise UsageError(f"{place}: {name} extends itself, by way of {' → '.join((*below, name, base))}.")
    elif base not in places:
        hint = did_you_mean(str(base), (HOST, *places), "targets")
        raise UsageError(f"{place}: the key `extends` names no target: {base!r}.", hint=hint)
    else:
        inherited = _extended(base, places, (*below, name))
    return {key: value for key, value in inherited.items() if key not in _OWN} | values


def _checked(values: dict[str, Any], place: Place) -> TargetProfile:
    version = values.get("profile_version")
    if isinstance(version, int) and version > PROFILE_VERSION:
        raise UsageError(
            f"{place} has profile version {version}; edgekit {__version__} reads up to {PROFILE_VERSION}.",
            hint="Upgrade edgekit: pip install --upgrade edgekit-toolkit",
        )
    try:
        return msgspec.convert(values, TargetProfile)
    except msgspec.ValidationError as error:
        raise UsageError(_where_and_why(place, str(error)), hint=_hint(str(error))) from None


def _where_and_why(place: Place, reason: str) -> str:
    """A validation error of msgspec, worded with file and key: `Expected int, got str - at $.cpu.cores`."""
    why, _, path = reason.replace("`", "").partition(" - at $.")
    return f"{place}: the key `{path}` is wrong: {why}." if path else f"{place}: {why}."


def _hint(reason: str) -> str:
    unknown = re.search(r"unknown field `(\w+)`", reason)
    if unknown is None:
        return "`edgekit targets show raspberrypi4 --json` shows every key."
    return did_you_mean(unknown[1], TargetProfile.__struct_fields__, "keys")
