"""Keras files and SavedModels become artifacts that compute the same."""

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.conversion import Outcome, convert_all
from edgekit.errors import ConversionError, UsageError
from edgekit.plan import Format, Precision
from edgekit.planning import Request
from edgekit.source import open_source

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.slow

BUILD = """
import sys
import keras
import numpy as np
from keras import layers
folder = sys.argv[1]
keras.utils.set_random_seed(0)
image = keras.Input((12, 12, 3), name="image")
x = layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
x = layers.BatchNormalization()(x)
x = layers.ReLU()(x)
x = layers.SeparableConv2D(12, 3, strides=2, padding="same")(x)
x = layers.ReLU(max_value=6)(x)
x = layers.Add()([x, layers.Conv2D(12, 1)(x)])
x = layers.GlobalAveragePooling2D()(x)
model = keras.Model(image, {"probs": layers.Dense(5, activation="softmax", name="probs")(x),
                            "height": layers.Dense(4, name="height")(x)})
model.save(f"{folder}/net.keras")
single = keras.Model(image, layers.Dense(5, name="logits")(x))
single.save(f"{folder}/single.h5")
single.export(f"{folder}/saved", verbose=False)
keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)]).save(f"{folder}/lambda.keras")
keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)]).save(f"{folder}/lambda.h5")
np.savez(f"{folder}/samples.npz", image=np.random.default_rng(0).random((40, 12, 12, 3), np.float32))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keras files and a SavedModel, written by a process of their own."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("keras")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], check=True, capture_output=True, timeout=300)
    return folder


def _convert(
    models: Path, name: str, out: Path, formats: tuple[Format, ...], precisions: tuple[Precision, ...]
) -> Outcome:
    return convert_all(
        Request(
            source=open_source(str(models / name)),
            formats=formats,
            precisions=precisions,
            out=out,
            calibration=str(models / "samples.npz"),
        )
    )


def test_a_keras_model_goes_to_both_formats(models: Path, tmp_path: Path) -> None:
    """To TFLite by TensorFlow, to TorchScript by Keras' own PyTorch backend; outputs keep their names."""
    outcome = _convert(models, "net.keras", tmp_path, ("tflite", "torchscript"), ("fp32", "int8"))
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    for item in outcome.made:
        manifest = item.artifact.manifest
        assert manifest.parity.passed, manifest.plan.label
        assert {spec.name: spec.shape for spec in manifest.signature.outputs} == {"probs": (1, 5), "height": (1, 4)}
        assert manifest.quantized is None or manifest.quantized.weights == 1.0
    readers = {item.artifact.manifest.plan.route.reader for item in outcome.made}
    assert readers == {"keras-tensorflow", "keras-torch"}


def test_a_legacy_h5_file_goes_to_both_formats(models: Path, tmp_path: Path) -> None:
    """HDF5 as Keras 3 still reads it."""
    outcome = _convert(models, "single.h5", tmp_path, ("tflite", "torchscript"), ("fp32",))
    assert [item.artifact.manifest.parity.passed for item in outcome.made] == [True, True]


def test_a_savedmodel_goes_to_tflite_in_every_precision(models: Path, tmp_path: Path) -> None:
    """Through its serving signature; int8 with integers at its borders."""
    request = Request(
        source=open_source(str(models / "saved")), formats=("tflite",), out=tmp_path, io_type="int8",
        precisions=("fp32", "fp16", "dynamic-int8", "int8"), calibration=str(models / "samples.npz"),
    )  # fmt: skip
    manifests = [item.artifact.manifest for item in convert_all(request).made]
    assert [manifest.parity.passed for manifest in manifests] == [True] * 4
    inputs = [(manifest.precision, manifest.signature.inputs[0].dtype) for manifest in manifests]
    assert inputs == [("fp32", "float32"), ("fp16", "float32"), ("dynamic-int8", "float32"), ("int8", "int8")]


def test_a_model_goes_to_tensorflow_serving(models: Path, tmp_path: Path) -> None:
    """As a versioned folder whose signature takes any batch; it is pushed like any other artifact."""
    (made,) = _convert(models, "net.keras", tmp_path, ("savedmodel",), ("fp32",)).made
    artifact = made.artifact
    names = [entry.name for entry in artifact.manifest.files]
    assert {"model/1/saved_model.pb", "model/1/variables/variables.index"} <= set(names)
    assert artifact.manifest.model_bytes == sum(
        entry.bytes for entry in artifact.manifest.files if entry.name != "golden.npz"
    )
    assert artifact.manifest.parity.passed
    assert {spec.name for spec in artifact.manifest.signature.outputs} == {"probs", "height"}
    assert "any batch" in artifact.manifest.notes[0]
    assert edgekit.push(artifact, device="local:", check=True).sent_bytes > 0


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_savedmodel_goes_to_onnx_and_torchscript(models: Path, precision: Precision, tmp_path: Path) -> None:
    """By tf2onnx, and from there by onnx2torch; outputs keep the signature's names."""
    outcome = _convert(models, "saved", tmp_path, ("onnx", "torchscript"), (precision,))
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    for item in outcome.made:
        assert item.artifact.manifest.parity.passed, item.artifact.manifest.plan.label
        assert {spec.name for spec in item.artifact.manifest.signature.outputs} == {"output_0"}


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5"])
def test_a_lambda_layer_needs_the_users_word(models: Path, name: str, tmp_path: Path) -> None:
    """In both kinds of file its Python does not run."""
    np.savez(models / "four.npz", x=np.ones((4, 4), np.float32))
    request = Request(source=open_source(str(models / name)), formats=("tflite",), precisions=("fp32",), out=tmp_path)
    with pytest.raises(UsageError, match="Lambda") as refused:
        convert_all(request)
    assert "--trust" in refused.value.hint


@pytest.mark.parametrize("keep", [30_000, 200])
def test_a_cut_file_is_refused(models: Path, tmp_path: Path, keep: int) -> None:
    """Wherever it was cut, whichever reader would have opened it."""
    for name in ("net.keras", "single.h5"):
        cut = tmp_path / name
        cut.write_bytes((models / name).read_bytes()[:keep])
        request = Request(source=open_source(str(cut)), formats=("tflite",), precisions=("fp32",), out=tmp_path / "out")
        with pytest.raises((UsageError, ConversionError), match=name):
            convert_all(request)
        assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


LIVE = """
import sys
import keras
import numpy as np
import edgekit
from edgekit import Schedule
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)])
samples = np.random.default_rng(0).random((64, 6), np.float32)
artifact = edgekit.convert(model, format="tflite", precision="int8", calibration=samples, out=sys.argv[1])
run = edgekit.benchmark(artifact, device="local:", schedule=Schedule(repeat=1, min_time_s=0.02))
print(artifact.manifest.parity.passed, run.golden.passed, len(run.repetitions[0].samples_ns) >= 30)
"""


def test_a_live_model_is_converted_and_measured_from_python(tmp_path: Path) -> None:
    """The README's lines, as a user's own script."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", LIVE, str(tmp_path)], check=True, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["True", "True", "True"]
