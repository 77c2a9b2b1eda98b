"""An artifact is what its manifest says, or it is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.artifact import MANIFEST, MANIFEST_VERSION, Artifact, artifact_id, file_entry, load_artifact
from edgekit.errors import UsageError

MakeArtifact = Callable[..., Artifact]


@pytest.fixture
def artifact(make_artifact: MakeArtifact, tmp_path: Path) -> Artifact:
    """A whole one; its model is never opened."""
    model = tmp_path / "model.tflite"
    model.write_bytes(b"weights")
    return make_artifact(model)


def _rewrite(artifact: Artifact, **changes: Any) -> None:
    path = artifact.path / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_id_names_the_content(artifact: Artifact) -> None:
    """Read again it is the same, whatever the whitespace; another content is another id."""
    _rewrite(artifact)
    assert load_artifact(artifact.path).id == artifact.id == artifact_id(artifact.manifest)
    _rewrite(artifact, notes=["other"])
    assert load_artifact(artifact.path).id != artifact.id


def test_a_changed_file_is_damage(artifact: Artifact) -> None:
    """Of the same size too; and one that is gone."""
    artifact.model.write_bytes(b"wEights")
    with pytest.raises(UsageError, match=r"model.tflite is damaged"):
        load_artifact(artifact.path)
    artifact.model.unlink()
    with pytest.raises(UsageError, match=r"lacks its file model.tflite"):
        load_artifact(artifact.path)


def test_a_manifest_cannot_reach_outside_its_folder(artifact: Artifact) -> None:
    """A hostile one could have a file of the user's opened, hashed, copied and sent."""
    files = json.loads((artifact.path / MANIFEST).read_text())["files"]
    _rewrite(artifact, files=[*files, {"name": "../secret", "sha256": "0" * 64, "bytes": 1}])
    with pytest.raises(UsageError, match="leads elsewhere"):
        load_artifact(artifact.path)
    _rewrite(artifact, files=files, model="../secret")
    with pytest.raises(UsageError, match="leads elsewhere"):
        load_artifact(artifact.path)
    _rewrite(artifact, files=files, model="model")
    with pytest.raises(UsageError, match=r"lists no file 'model'"):
        load_artifact(artifact.path)


def test_a_folder_of_the_model_is_no_link(artifact: Artifact, tmp_path: Path) -> None:
    """Else files of the user's, of known content, would be taken for the model's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "weights").write_bytes(b"weights")
    (artifact.path / "model").symlink_to(elsewhere)
    files = json.loads((artifact.path / MANIFEST).read_text())["files"]
    entry = msgspec.to_builtins(file_entry(elsewhere / "weights", "model/weights"))
    _rewrite(artifact, files=[*files, entry])
    with pytest.raises(UsageError, match="behind a link"):
        load_artifact(artifact.path)


def test_a_newer_manifest_is_refused_as_such(artifact: Artifact) -> None:
    """Not as damaged: the hint is to upgrade."""
    _rewrite(artifact, manifest_version=MANIFEST_VERSION + 1, signature="of another shape")
    with pytest.raises(UsageError, match=f"manifest version {MANIFEST_VERSION + 1}"):
        load_artifact(artifact.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"manifest_version": "1"}', "\xff"])
def test_a_garbled_manifest_is_refused(text: str, artifact: Artifact) -> None:
    """Whatever it holds instead."""
    (artifact.path / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"manifest.json is damaged"):
        load_artifact(artifact.path)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    """A folder without a manifest, a file, nothing."""
    (tmp_path / "file.edgekit").touch()
    for place, reason in (("", "is not an artifact"), ("file.edgekit", "is not an artifact"), ("gone", "no artifact")):
        with pytest.raises(UsageError, match=reason):
            load_artifact(tmp_path / place)
