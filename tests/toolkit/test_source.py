"""What SOURCE means, and what it may not be."""

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.model import TensorSpec
from edgekit.source import open_source, parse_input


def test_a_python_file_with_a_factory_is_pytorch(tmp_path: Path) -> None:
    """`file.py:factory` names both."""
    file = tmp_path / "net.py"
    file.write_text("def make(): ...")
    source = open_source(f"{file}:make", weights="w.pt")
    assert (source.kind, source.path, source.factory, source.weights) == ("pytorch", str(file), "make", "w.pt")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("m.pt2", "exported-program"), ("m.pt", "torchscript"), ("m.keras", "keras"), ("m.h5", "keras")],
)
def test_the_suffix_tells_the_kind(tmp_path: Path, name: str, kind: str) -> None:
    """A file that is not empty is of the kind its suffix says, until its reader looks closer."""
    (tmp_path / name).write_bytes(b"something")
    assert open_source(str(tmp_path / name)).kind == kind


def test_a_folder_with_saved_model_pb_is_a_savedmodel(tmp_path: Path) -> None:
    """TensorFlow's folders are known by that file."""
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    assert open_source(str(tmp_path)).kind == "savedmodel"


@pytest.mark.parametrize("name", ["absent.keras", "empty.keras", "folder", "notes.txt", "net.py"])
def test_what_is_no_source_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Missing, empty, of an unknown kind, or Python without its factory: each names the file."""
    (tmp_path / "empty.keras").touch()
    (tmp_path / "folder").mkdir()
    for file in ("notes.txt", "net.py"):
        (tmp_path / file).write_text("x")
    with pytest.raises(UsageError, match=name) as refused:
        open_source(str(tmp_path / name))
    assert refused.value.hint


def test_a_pipe_is_refused_instead_of_read_for_ever(tmp_path: Path) -> None:
    """Special files are no models."""
    import os

    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(UsageError, match="regular file"):
        open_source(str(tmp_path / "model.keras"))


def test_weights_belong_to_a_factory(tmp_path: Path) -> None:
    """A stored model holds its own weights."""
    (tmp_path / "m.keras").write_bytes(b"x")
    with pytest.raises(UsageError, match="--weights"):
        open_source(str(tmp_path / "m.keras"), weights="w.pt")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x=1x3x96x96:float16", TensorSpec(name="x", shape=(1, 3, 96, 96), dtype="float16")),
        ("ids=1x128:int64", TensorSpec(name="ids", shape=(1, 128), dtype="int64")),
        ("x=1x8", TensorSpec(name="x", shape=(1, 8), dtype="float32")),
        ("1x8", TensorSpec(name="", shape=(1, 8), dtype="float32")),
    ],
)
def test_an_input_is_name_shape_and_dtype(text: str, spec: TensorSpec) -> None:
    """Name and dtype may be left out."""
    assert parse_input(text) == spec


@pytest.mark.parametrize("text", ["x=1xax3", "x=0x3", "x=-1x3", "x=1x3:float", "x=1x3:"[:-1] + ":f16", "x=1,3,8,8"])
def test_an_input_that_is_none_is_refused(text: str) -> None:
    """Shapes are positive sizes, dtypes NumPy's names."""
    with pytest.raises(UsageError, match="is not an input"):
        parse_input(text)
