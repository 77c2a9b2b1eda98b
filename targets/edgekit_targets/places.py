"""Where profiles are found: those that come with edgekit, third parties' folders, and the user's own.

A later place shadows an earlier one of the same name: the package's `profiles/*.toml`, folders that entry points of
the group `edgekit.targets` name, `targets/*.toml` in the config folder, and `[targets.NAME]` in `./edgekit.toml`.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.errors import UsageError
from edgekit.paths import config_folder
from edgekit.project_file import PROJECT_FILE, read_toml
from edgekit_targets.host import HOST

_OURS: Final = Path(__file__).parent / "profiles"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one profile is written: the file, and the table in it; empty when the file is the profile."""

    file: Path
    table: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As errors name it."""
        return f"{self.file} [{'.'.join(self.table)}]" if self.table else str(self.file)


def find_places() -> dict[str, Place]:
    """Every profile that is written down, by name; a file that is wrong is found all the same.

    Raises:
        UsageError: `./edgekit.toml` is not TOML, so that nobody can tell what it shadows; or one is called `host`.
    """
    folders = (_OURS, *_third_party(), config_folder() / "targets")
    found = {file.stem: Place(file=file) for folder in folders for file in sorted(folder.glob("*.toml"))}
    found |= _in_project_file(Path(PROJECT_FILE))
    if HOST in found:
        raise UsageError(
            f"{found[HOST]}: a profile cannot be called {HOST}, which is this machine as it is found.",
            hint=f'Call it otherwise and begin it with: extends = "{HOST}"',
        )
    return found


def _third_party() -> Iterator[Path]:
    for entry in entry_points(group="edgekit.targets"):
        yield Path(entry.load())


def _in_project_file(file: Path) -> dict[str, Place]:
    if not file.is_file():
        return {}
    tables = read_toml(file).get("targets", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{file}: `targets` is not a table.", hint="Write [targets.NAME] above each profile.")
    return {name: Place(file=file, table=("targets", name)) for name in tables}


def read_place(place: Place) -> dict[str, Any]:
    """The profile as it is written there.

    Raises:
        UsageError: The file cannot be read, is not TOML, or the profile is not a table.
    """
    value: Any = read_toml(place.file)
    for key in place.table:
        value = value[key]
    if not isinstance(value, dict):
        raise UsageError(f"{place} is not a table of a profile's keys.")
    return value
