"""Archives that would run code are refused before a framework opens them."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from edgekit.model import SourceModel
from edgekit_converters.sources.exported_program import READER as EXPORTED
from edgekit_converters.sources.keras_archive import keras_objections
from edgekit_converters.sources.torchscript import READER as TORCHSCRIPT


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /nowhere/else",)


def _checkpoint(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


def _program(folder: Path, members: dict[str, bytes]) -> SourceModel:
    path = folder / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"net/models/model.json": b"{}", **members}.items():
            archive.writestr(name, content)
    return SourceModel(kind="exported-program", path=str(path))


def _node(target: str) -> bytes:
    return json.dumps({"graph": {"nodes": [{"target": target}]}}).encode()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"net/data/sample_inputs/model.pt": _checkpoint(pickle.dumps(_Bomb(), 2))}, "system"),
        ({"net/data/sample_inputs/model.pt": _checkpoint(pickle.dumps(_Bomb(), 4))}, "pickle uses"),
        ({"net/data/constants/opaque_obj_0": b"\x80\x02."}, "pickled object"),
        ({"net/data/aotinductor/model/m.so": b"\x7fELF"}, "compiled library"),
        ({"net/models/model.json": _node("torch.serialization.os.system")}, "calls 'torch.serialization.os.system'"),
        ({"net/models/model.json": _node("torch.hub.load")}, "calls"),
        ({"net/models/model.json": json.dumps({"expr_str": "__import__('os').system('x')"}).encode()}, "evaluates"),
        ({"net/models/model.json": json.dumps({"expr_str": "s0.__class__"}).encode()}, "evaluates"),
        ({"net/models/model.json": json.dumps({"expr_str": "Symbol('s0').__class__"}).encode()}, "evaluates"),
        ({"net/models/model.json": json.dumps({"expr_str": "eval('x')"}).encode()}, "evaluates"),
        ({"net/models/model.json": b"not json"}, "not JSON"),
    ],
)
def test_a_doctored_program_is_refused(tmp_path: Path, members: dict[str, bytes], reason: str) -> None:
    """Pickles, libraries, operators by foreign names, expressions: each is told, with the way to trust it."""
    objections = EXPORTED.objections(_program(tmp_path, members))
    assert reason in objections[0].cause
    assert "--trust" in objections[0].hint


def test_a_harmless_program_passes(tmp_path: Path) -> None:
    """What torch.export writes: ATen operators, shape arithmetic, tensors."""
    members = {
        "net/models/model.json": json.dumps(
            {
                "nodes": [{"target": "torch.ops.aten.add.Tensor"}, {"target": "_operator.mul"}],
                "expr_str": "2*s0 + Symbol('s77', positive=True, integer=True)",
            }
        ).encode()
    }
    assert EXPORTED.objections(_program(tmp_path, members)) == []


def test_a_trusted_program_is_not_searched(tmp_path: Path) -> None:
    """The user's word counts."""
    source = _program(tmp_path, {"net/data/constants/opaque_obj_0": b"\x80\x02."})
    trusted = SourceModel(kind=source.kind, path=source.path, trusted=True)
    assert EXPORTED.objections(trusted) == []


@pytest.mark.parametrize("keep", [1, 100, 300])
def test_a_cut_program_is_refused(tmp_path: Path, keep: int) -> None:
    """Wherever it was cut."""
    source = _program(tmp_path, {"net/data/weights/weight_0": bytes(200)})
    path = Path(source.path)
    path.write_bytes(path.read_bytes()[:keep])
    assert "not a whole exported program" in EXPORTED.objections(source)[0].cause


def test_members_outside_the_archive_are_refused(tmp_path: Path) -> None:
    """No archive may name a path outside itself."""
    assert "outside itself" in EXPORTED.objections(_program(tmp_path, {"../../etc/cron.d/x": b"x"}))[0].cause


def test_a_pickled_module_is_not_torchscript(tmp_path: Path) -> None:
    """`torch.save(module)` is answered with the way to convert it."""
    path = tmp_path / "net.pt"
    path.write_bytes(_checkpoint(pickle.dumps({}, 2)))
    (objection,) = TORCHSCRIPT.objections(SourceModel(kind="torchscript", path=str(path)))
    assert "pickle" in objection.cause
    assert "--weights net.pt" in objection.hint


def _keras(folder: Path, config: object) -> SourceModel:
    path = folder / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return SourceModel(kind="keras", path=str(path))


def test_a_lambda_layer_is_refused_however_deep(tmp_path: Path) -> None:
    """Its Python runs when the file is loaded."""
    source = _keras(tmp_path, {"config": {"layers": [{"config": {"layers": [{"class_name": "Lambda"}]}}]}})
    (objection,) = keras_objections(source)
    assert "Lambda" in objection.cause
    assert keras_objections(SourceModel(kind="keras", path=source.path, trusted=True)) == []


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_a_file_that_is_not_keras_is_refused(tmp_path: Path, name: str) -> None:
    """Neither a zip nor HDF5."""
    (tmp_path / name).write_bytes(b"hello, this is text")
    (objection,) = keras_objections(SourceModel(kind="keras", path=str(tmp_path / name)))
    assert name in objection.cause


def test_a_zip_without_a_config_is_not_keras(tmp_path: Path) -> None:
    """Any zip may end in .keras."""
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("readme", "x")
    (objection,) = keras_objections(SourceModel(kind="keras", path=str(tmp_path / "net.keras")))
    assert "config.json" in objection.cause
