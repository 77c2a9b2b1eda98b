"""`./edgekit.toml`: the project's own file, with its devices and target profiles, read and edited.

An edit adds or removes one `[KIND.NAME]`; not a comment or a line of what else stands there is touched. So it works on
lines: an editor of TOML documents takes the comments after a table for the table's own, and would remove them with it.
"""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from edgekit.errors import UsageError
from edgekit.publish import whole_file

PROJECT_FILE: Final = "edgekit.toml"
"""In the working directory."""

_HEADER: Final = re.compile(r"\s*\[")


def read_toml(file: Path) -> dict[str, Any]:
    """A file's content.

    Raises:
        UsageError: It cannot be read, or is not TOML (names line and column).
    """
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}.", hint="The format: https://toml.io") from None


def read_text(file: Path) -> str:
    """The text, its line ends as they are; empty when there is no such file."""
    return file.read_bytes().decode("utf-8") if file.is_file() else ""


def replace_text(file: Path, text: str) -> None:
    """Write the file whole or not at all; who may read it stays.

    Raises:
        UsageError: It cannot be written.
    """
    mode = file.stat().st_mode if file.is_file() else None
    with whole_file(file) as place:
        place.write_bytes(text.encode("utf-8"))
    if mode is not None:
        file.chmod(mode & 0o777)


def with_table(text: str, kind: str, name: str, values: dict[str, Any]) -> str:
    """The text with `[KIND.NAME]` after the last table of its kind, or at its end.

    Raises:
        UsageError: It is written so that there is no place for it.
    """
    lines = text.splitlines(keepends=True)
    place = max((end for _, end in _tables(lines, re.escape(kind) + r"\s*(\.[^\]]*)?")), default=len(lines))
    end = "\r\n" if "\r\n" in text else "\n"
    block = tomlkit.dumps({kind: {name: values}}).splitlines()
    before = [end] if place else []
    if place and not lines[place - 1].endswith("\n"):
        before.append(end)
    after = [end] if place < len(lines) and lines[place].strip() else []
    added = "".join([*lines[:place], *before, *(line + end for line in block), *after, *lines[place:]])
    wanted = tomllib.loads(text)
    wanted[kind] = {**wanted.get(kind, {}), name: values}
    return _if_it_says(wanted, kind, name, added)


def without_table(text: str, kind: str, name: str) -> str:
    """The text without `[KIND.NAME]`; the comments around it stay.

    Raises:
        UsageError: It is written so that something else would go with it.
    """
    wanted = tomllib.loads(text)
    del wanted[kind][name]
    return _if_it_says(wanted, kind, name, _without_lines(text, kind, name), _without_key(text, kind, name))


def _tables(lines: list[str], header: str) -> list[tuple[int, int]]:
    """First line, and the one after the last key, of each table whose header is this."""
    starts = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    found = [
        (start, end)
        for start, end in pairwise([*starts, len(lines)])
        if re.match(rf"\s*\[\s*{header}\s*\]", lines[start])
    ]
    return [(start, _last_key(lines, start, end) + 1) for start, end in found]


def _last_key(lines: list[str], start: int, end: int) -> int:
    return next(number for number in reversed(range(start, end)) if lines[number].split("#")[0].strip())


def _without_lines(text: str, kind: str, name: str) -> str:
    lines = text.splitlines(keepends=True)
    forms = "|".join(re.escape(form) for form in (name, f'"{name}"', f"'{name}'"))
    for start, end in _tables(lines, rf"{re.escape(kind)}\s*\.\s*({forms})"):
        apart = start > 0 and not lines[start - 1].strip() and not "".join(lines[end : end + 1]).strip()
        return "".join([*lines[: start - apart], *lines[end:]])
    return text


def _without_key(text: str, kind: str, name: str) -> str:
    """For inline tables and dotted keys, whose comments stand on their own lines."""
    try:
        document = tomlkit.parse(text)
        del document[kind][name]
        return tomlkit.dumps(document)
    except (TOMLKitError, KeyError):
        return text


def _if_it_says(wanted: dict[str, Any], kind: str, name: str, *candidates: str) -> str:
    """The first text that is TOML for just this; a kind whose last table went may be gone or empty."""
    for text in candidates:
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
        if {kind: {}, **found} == {kind: {}, **wanted}:
            return text
    raise UsageError(
        f"edgekit cannot change {PROJECT_FILE} without touching what else stands there.",
        hint=f"Edit [{kind}.{name}] in it by hand.",
    )
