"""Export firmware as a project for the tools of a board's makers: Zephyr, ESP-IDF, STM32CubeIDE."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.publish import staging
from edgekit_bridge.firmware.config import check_format, config_header
from edgekit_bridge.firmware.ports import SOURCES

_BOARD: Final = """/* Written by edgekit: what the firmware calls its board. */
#define EDGEKIT_BOARD "{board}"
"""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """How a project is laid out.

    Attributes:
        folder: The port's folder below `ports/`.
        sources: Where the C files go, in the project.
        shared: Other folders of `ports/` whose C files it needs, by the names that are taken.
        board: What the firmware calls its board when nobody says.
        places: Files of the port that go elsewhere than to the project's top, by name.
    """

    folder: str
    sources: str
    board: str
    shared: tuple[str, ...] = ()
    places: Mapping[str, str] = {}


PROJECTS: Final = {
    "zephyr": Project(folder="zephyr", sources="src", board="zephyr"),
    "esp-idf": Project(
        folder="esp_idf", sources="main", board="esp32-s3", places={"main.CMakeLists.txt": "main/CMakeLists.txt"}
    ),
    "stm32cubeide": Project(
        folder="stm32cube",
        sources="edgekit",
        board="stm32f746",
        shared=("cortex_m/cortex_m.c", "cortex_m/cortex_m.h"),
    ),
}


def export(artifact: Artifact, kind: str, out: Path, *, board: str = "") -> tuple[Path, ...]:
    """Write a project; gives its files.

    Args:
        artifact: A model compiled to C.
        kind: `zephyr`, `esp-idf` or `stm32cubeide`.
        out: The project's folder, which must not be there yet or be empty.
        board: What the firmware calls its board, a target profile's name; the project's usual one when empty.

    Raises:
        UsageError: The artifact is of another format, or the folder is in use.
    """
    check_format(artifact)
    project = PROJECTS[kind]
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already.", hint="Name a new folder: yours may have been edited.")
    with staging(out) as work:
        _write(work, artifact, project, board or project.board)
        for item in sorted(work.iterdir()):
            item.replace(out / item.name)
    return tuple(sorted(path for path in out.rglob("*") if path.is_file()))


def _write(work: Path, artifact: Artifact, project: Project, board: str) -> None:
    sources = work / project.sources
    sources.mkdir()
    for entry in artifact.manifest.files:
        if entry.name.endswith((".c", ".h")):
            shutil.copyfile(artifact.path / entry.name, sources / entry.name)
    for path in (*SOURCES.glob("*.[ch]"), *(SOURCES / "ports" / name for name in project.shared)):
        shutil.copyfile(path, sources / path.name)
    (sources / "edgekit_config.h").write_text(config_header(artifact))
    (sources / "edgekit_board.h").write_text(_BOARD.format(board=board))
    for path in (SOURCES / "ports" / project.folder).iterdir():
        place = sources / path.name if path.suffix in {".c", ".h"} else work / project.places.get(path.name, path.name)
        shutil.copyfile(path, place)
