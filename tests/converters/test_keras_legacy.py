"""Files of Keras 2 that Keras 3 refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.conversion import convert_all
from edgekit.errors import EdgekitError
from edgekit.planning import Request
from edgekit.source import open_source

pytest.importorskip("tf_keras")
pytestmark = pytest.mark.slow

BUILD = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tf_keras as keras
keras.utils.set_random_seed(0)
image = keras.Input((8, 8, 3), name="image")
x = keras.layers.DepthwiseConv2D(3, activation="relu")(image)
x = keras.layers.GlobalAveragePooling2D()(x)
keras.Model(image, keras.layers.Dense(4, name="scores")(x)).save(f"{sys.argv[1]}/net.h5")
keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)]).save(f"{sys.argv[1]}/lambda.h5")
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with a layer whose options Keras 3 does not know, and one with a Lambda layer."""
    folder = tmp_path_factory.mktemp("legacy")
    subprocess.run([sys.executable, "-c", BUILD, folder], check=True, capture_output=True, timeout=300)
    return folder


def request(path: Path, out: Path) -> Request:
    """To TFLite."""
    return Request(source=open_source(str(path)), formats=("tflite",), precisions=("fp32",), out=out)


def test_keras_2_reads_its_own(work: Path, tmp_path: Path) -> None:
    """Names and all; the manifest tells of what version."""
    manifest = convert_all(request(work / "net.h5", tmp_path)).made[0].artifact.manifest
    assert manifest.parity.passed
    assert manifest.source.framework.startswith("keras 2.")
    assert [spec.name for spec in manifest.signature.inputs] == ["image"]
    assert [spec.name for spec in manifest.signature.outputs] == ["scores"]


@pytest.mark.parametrize("what", ["lambda", "module"])
def test_code_of_the_file_does_not_run(what: str, work: Path, tmp_path: Path) -> None:
    """Keras 2 would run a Lambda layer, and import what a file names, with no safe mode."""
    import h5py

    canary, path = tmp_path / "ran", tmp_path / "bad.h5"
    path.write_bytes((work / "net.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        extra = {"class_name": "Lambda"} if what == "lambda" else {
            "class_name": "system", "module": "os", "registered_name": None, "config": f"touch {canary}"
        }  # fmt: skip
        config["config"]["layers"][1]["config"]["activation"] = extra
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(EdgekitError) as caught:
        convert_all(request(path, tmp_path / "out"))
    assert "run code" in caught.value.cause or "Lambda" in caught.value.cause
    assert not canary.exists()
