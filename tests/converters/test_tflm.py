"""Format tflm: a TFLite file packaged for TensorFlow Lite Micro."""

import re
from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact import Artifact
from edgekit.conversion import convert_all
from edgekit.errors import ConversionError, UsageError
from edgekit.planning import Request
from edgekit.source import open_source
from edgekit_converters.tflm.arena import measure_arena
from models.graph import GraphWriter

pytestmark = pytest.mark.slow


def converted(path: Path, out: Path) -> Artifact:
    """The artifact of a .tflite file; raises what kept it from being made."""
    source = open_source(str(path))
    outcome = convert_all(Request(source=source, formats=("tflm",), precisions=("fp32",), out=out))
    for failed in outcome.not_made:
        raise failed.error
    return outcome.made[0].artifact


@pytest.fixture(scope="module")
def artifact(linear_tflite: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """One fully connected layer."""
    return converted(linear_tflite, tmp_path_factory.mktemp("tflm"))


class TestArtifact:
    def test_it_agrees_with_its_source_in_tflm_itself(self, artifact: Artifact) -> None:
        """The interpreter of the tflite-micro package ran it, in a process of its own."""
        assert artifact.manifest.parity.passed
        assert artifact.manifest.parity.runtime.startswith("TensorFlow Lite Micro, tflite-micro ")

    def test_the_array_holds_the_file(self, artifact: Artifact) -> None:
        """Byte for byte, with its size."""
        text = (artifact.path / "model.c").read_text()
        body = text[text.index("= {") + 3 : text.index("};")]
        assert (
            bytes(int(word) for word in body.replace("\n", " ").split(",") if word.strip())
            == artifact.model.read_bytes()
        )
        assert f"EDGEKIT_TFLM_MODEL_BYTES {artifact.manifest.model_bytes}\n" in (artifact.path / "model.h").read_text()

    def test_the_resolver_has_exactly_the_models_operators(self, artifact: Artifact) -> None:
        """By their methods in MicroMutableOpResolver."""
        text = (artifact.path / "ops.h").read_text()
        assert re.findall(r"resolver\.(\w+)\(\)", text) == ["AddFullyConnected"]
        assert "#define EDGEKIT_TFLM_OPS 1\n" in text

    def test_the_arena_is_what_the_interpreter_allocated(self, artifact: Artifact) -> None:
        """In the manifest and in the header; a little less would not be enough."""
        footprint = artifact.manifest.footprint
        assert footprint is not None
        assert f"EDGEKIT_TFLM_ARENA_BYTES {footprint.arena_bytes}\n" in (artifact.path / "model.h").read_text()
        with pytest.raises(ConversionError, match="does not take this model"):
            measure_arena(artifact.model, 1, footprint.arena_bytes - 64)


class TestRefusals:
    def file(self, folder: Path, op: str, *shape: int, **more: Any) -> Path:
        """A model of one operator of one input."""
        net = GraphWriter("float32")
        x = net.tensor(shape, **more)
        net._inputs.append(x)
        given = [x, net.integers(*reversed(range(len(shape))))] if op == "TRANSPOSE" else [x]
        path = folder / "one.tflite"
        path.write_bytes(net.file(net.op(op, given, net.tensor(shape[::-1], **more))))
        return path

    def test_an_operator_that_tflm_has_not_got_is_named_before_work_starts(self, tmp_path: Path) -> None:
        """With its layer."""
        with pytest.raises(UsageError, match=re.escape("Micro has no operator SIGN (layer 'layer/t1').")):
            converted(self.file(tmp_path, "SIGN", 1, 4), tmp_path)

    def test_what_tflm_says_before_it_gives_up_is_told(self, tmp_path: Path) -> None:
        """Its process ends; ours tells why."""
        with pytest.raises(ConversionError, match=r"does not take this model: .* only supports 1D-5D"):
            converted(self.file(tmp_path, "TRANSPOSE", 1, 2, 1, 2, 1, 2), tmp_path)
