"""What the local transport says when a disk refuses."""

import errno
import os
from pathlib import Path

import pytest

from edgekit.device import parse_device
from edgekit.errors import DeviceError
from edgekit.progress import SilentProgress
from edgekit_bridge.transports.local import TRANSPORT
from edgekit_bridge.transports.whole_copy import copy_whole


@pytest.mark.parametrize(
    ("number", "word"), [(errno.ENOSPC, "space"), (errno.EROFS, "read-only"), (errno.EDQUOT, "quota")]
)
def test_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, word: str) -> None:
    """A full or read-only disk is named with the next step, the old file stays, no part is left."""
    source, place = tmp_path / "source", tmp_path / "there" / "place"
    source.write_bytes(b"new")
    place.parent.mkdir()
    place.write_bytes(b"old")

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(DeviceError) as caught:
        copy_whole(source, place, SilentProgress(), "copy")
    monkeypatch.undo()
    assert str(place) in caught.value.cause
    assert word in caught.value.hint
    assert [path.name for path in place.parent.iterdir()] == ["place"]
    assert place.read_bytes() == b"old"


def test_local_takes_no_host() -> None:
    """`local://somewhere` is refused: it would silently measure the wrong machine."""
    with pytest.raises(DeviceError, match="not this machine"), TRANSPORT.open(parse_device("local://pi4"), timeout_s=1):
        pass
