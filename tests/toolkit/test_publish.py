"""Artifacts appear whole or not at all."""

import threading
from pathlib import Path

import pytest

from edgekit.artifact import MANIFEST
from edgekit.errors import ConversionError, UsageError
from edgekit.publish import publish, staging


def _draft(folder: Path, name: str, content: str = "x") -> Path:
    draft = folder / name
    draft.mkdir()
    (draft / MANIFEST).write_text(content)
    return draft


def test_nothing_is_left_when_the_work_fails(tmp_path: Path) -> None:
    """The staging folder goes whatever ends the work."""

    def interrupted() -> None:
        with staging(tmp_path) as folder:
            _draft(folder, "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_older_artifact_is_replaced(tmp_path: Path) -> None:
    """Converting again gives the new one, under the same name."""
    for content in ("old", "new"):
        with staging(tmp_path) as folder:
            publish(_draft(folder, "d", content), tmp_path, "net")
    assert [path.name for path in tmp_path.iterdir()] == ["net.edgekit"]
    assert (tmp_path / "net.edgekit" / MANIFEST).read_text() == "new"


def test_what_is_no_artifact_is_not_replaced(tmp_path: Path) -> None:
    """A folder of the user's own that happens to have the name stays."""
    mine = tmp_path / "net.edgekit"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="no artifact"), staging(tmp_path) as folder:
        publish(_draft(folder, "d"), tmp_path, "net")
    assert (mine / "thesis.tex").read_text() == "years of work"


def test_many_at_once_leave_one_whole_artifact(tmp_path: Path) -> None:
    """Whoever comes last wins; nobody fails, nothing is mixed."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(20):
                with staging(tmp_path) as folder:
                    publish(_draft(folder, "d", str(number)), tmp_path, "net")
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in tmp_path.iterdir()] == ["net.edgekit"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "out").write_text("x")
    with pytest.raises(UsageError, match="Cannot write to"), staging(tmp_path / "out"):
        pass


def test_a_failure_with_room_on_the_disk_keeps_its_own_cause(tmp_path: Path) -> None:
    """Only a full disk is blamed on the disk."""
    with pytest.raises(ConversionError, match="operator"), staging(tmp_path):
        raise ConversionError("operator X is unknown")
