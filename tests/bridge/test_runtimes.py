"""Running models on this host by the adapters that run them on a device."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit import catalog
from edgekit.errors import MeasurementError, UsageError
from edgekit.model import Quantization, Signature, TensorSpec
from edgekit.protocols import Array, Runtime, Session

X = np.array([[1.0, -2.0, 0.5, 3.0]], np.float32)
LINEAR = Signature(
    inputs=(TensorSpec(name="x", shape=(1, 4), dtype="float32"),),
    outputs=(TensorSpec(name="y", shape=(1, 3), dtype="float32"),),
)
TENSORS = [("first", (1, 2), None), ("second", (1, 2), None), ("out", (1, 2), None)]
A, B = np.array([[5.0, 7.0]], np.float32), np.array([[1.0, 2.0]], np.float32)


def runtime(format_: str) -> Runtime:
    """The runtime of a format."""
    return next(item for item in catalog.runtimes() if item.format == format_)


def close(got: Array, expected: object, *, within: float = 1e-5) -> None:
    """Compare numbers."""
    np.testing.assert_allclose(np.asarray(got, np.float64), np.asarray(expected, np.float64), atol=within)


def open_tflite(folder: Path, content: bytes, signature: Signature) -> Session:
    """Load a .tflite file from its bytes."""
    path = folder / "model.tflite"
    path.write_bytes(content)
    return runtime("tflite").open(path, signature, threads=1, engine="")


def pair(*outputs: TensorSpec, **bindings: str) -> Signature:
    """A signature of the inputs a and b; keywords bind them to names of the file."""
    return Signature(
        inputs=tuple(
            TensorSpec(name=name, shape=(1, 2), dtype="float32", binding=bindings.get(name, "")) for name in "ab"
        ),
        outputs=outputs or (TensorSpec(name="y", shape=(1, 2), dtype="float32"),),
    )


def test_light_import() -> None:
    """Listing the runtimes, or having a harness, imports neither a runtime nor NumPy."""
    program = (
        "import sys\n"
        "from edgekit import catalog\n"
        "print(len(catalog.runtimes()), catalog.harness(), catalog.transports())\n"
        "print({'numpy', 'torch', 'ai_edge_litert', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


class TestLiteRT:
    def test_linear(self, linear_tflite: Path) -> None:
        """Inputs and outputs go by the source's names."""
        session = runtime("tflite").open(linear_tflite, LINEAR, threads=1, engine="")
        close(session.run({"x": X})["y"], [[0.05, -0.45, 3.55]])

    def test_describe(self) -> None:
        """The runtime tells its version without being imported."""
        assert runtime("tflite").describe().startswith("LiteRT 2.")

    def test_signature_names(self, tmp_path: Path, tflite: Callable[..., bytes]) -> None:
        """Two inputs of one shape are told apart by the signature's names, whatever their order in the file."""
        content = tflite("SUB", tensors=TENSORS, operators=[([0, 1], [2])], signature=({"b": 0, "a": 1}, {"y": 2}))
        np.testing.assert_array_equal(open_tflite(tmp_path, content, pair()).run({"a": A, "b": B})["y"], B - A)

    def test_binding_wins(self, tmp_path: Path, tflite: Callable[..., bytes]) -> None:
        """The manifest's binding names the tensor where the file calls it otherwise."""
        content = tflite("SUB", tensors=TENSORS, operators=[([0, 1], [2])], signature=({"p": 0, "q": 1}, {"z": 2}))
        session = open_tflite(tmp_path, content, pair(a="q", b="p"))
        np.testing.assert_array_equal(session.run({"a": A, "b": B})["y"], B - A)

    def test_tensor_names(self, tmp_path: Path, tflite: Callable[..., bytes]) -> None:
        """A file without a signature is bound by its tensors' names."""
        content = tflite("SUB", tensors=TENSORS, operators=[([0, 1], [2])])
        session = open_tflite(tmp_path, content, pair(a="first", b="second"))
        np.testing.assert_array_equal(session.run({"a": A, "b": B})["y"], A - B)

    def test_no_guess(self, tmp_path: Path, tflite: Callable[..., bytes]) -> None:
        """Two inputs whose names lead nowhere are refused with the names there are, never taken by order."""
        content = tflite("SUB", tensors=TENSORS, operators=[([0, 1], [2])])
        with pytest.raises(MeasurementError, match="no input 'a'; it has first, second"):
            open_tflite(tmp_path, content, pair())

    @pytest.mark.parametrize("stated", [True, False], ids=["by the manifest", "by the file"])
    def test_integers(self, tmp_path: Path, tflite: Callable[..., bytes], *, stated: bool) -> None:
        """Real numbers go in and come out of an integer model, by the manifest's scale or the file's."""
        scales = dict.fromkeys(range(3), (9, 0.1, 3))
        content = tflite(
            "SUB", tensors=TENSORS, operators=[([0, 1], [2])], signature=({"a": 0, "b": 1}, {"y": 2}), quantized=scales
        )
        given = Quantization(scale=(0.1,), zero_point=(3,)) if stated else None
        kind = "int8" if stated else "float32"
        specs = [TensorSpec(name=name, shape=(1, 2), dtype=kind, quantization=given) for name in "aby"]
        session = open_tflite(tmp_path, content, Signature(inputs=tuple(specs[:2]), outputs=(specs[2],)))
        close(session.run({"a": A, "b": B})["y"], A - B, within=0.11)
        assert session.run({"a": A, "b": B})["y"].dtype == np.float32

    def test_another_batch(self, tmp_path: Path, tflite: Callable[..., bytes]) -> None:
        """A free batch takes the size of what is given, and another one after that."""
        content = tflite(
            "SUB", tensors=TENSORS, operators=[([0, 1], [2])], signature=({"a": 0, "b": 1}, {"y": 2}), free_batch=True
        )
        session = open_tflite(tmp_path, content, pair())
        for batch in (1, 3, 2):
            result = session.run({"a": np.repeat(A, batch, 0), "b": np.repeat(B, batch, 0)})["y"]
            np.testing.assert_array_equal(result, np.repeat(A - B, batch, 0))

    def test_outputs_are_copies(self, linear_tflite: Path) -> None:
        """An output stays as it was when the model runs again."""
        session = runtime("tflite").open(linear_tflite, LINEAR, threads=1, engine="")
        first = session.run({"x": X})["y"]
        kept = first.copy()
        session.run({"x": 2 * X})
        np.testing.assert_array_equal(first, kept)

    def test_missing_input(self, linear_tflite: Path) -> None:
        """An input that was not given is a wrong request."""
        session = runtime("tflite").open(linear_tflite, LINEAR, threads=1, engine="")
        with pytest.raises(UsageError, match="'x' was not given"):
            session.run({"z": X})

    @pytest.mark.parametrize("content", [b"", b"garbage" * 100], ids=["empty", "garbage"])
    def test_garbage(self, tmp_path: Path, content: bytes) -> None:
        """What is no model is refused as one error."""
        with pytest.raises(MeasurementError):
            open_tflite(tmp_path, content, LINEAR)


@pytest.mark.slow
class TestTorchScript:
    def test_linear(self, linear_ptl: Path) -> None:
        """Inputs and outputs go by the source's names."""
        session = runtime("torchscript").open(linear_ptl, LINEAR, threads=1, engine="")
        close(session.run({"x": X})["y"], [[0.05, -0.45, 3.55]])

    @pytest.mark.parametrize("kind", ["tuple", "list", "nested", "dict"])
    def test_outputs(self, two_outputs_ptl: Callable[[str], Path], kind: str) -> None:
        """Outputs are found by position in a tuple or list, flattened, and by key in a dict."""
        bindings = ("minus", "plus") if kind == "dict" else ("0", "1")
        outputs = [
            TensorSpec(name=name, shape=(1, 2), dtype="float32", binding=binding)
            for name, binding in zip(("difference", "sum"), bindings, strict=True)
        ]
        session = runtime("torchscript").open(two_outputs_ptl(kind), pair(*outputs), threads=1, engine="")
        result = session.run({"b": B, "a": A})
        np.testing.assert_array_equal(result["difference"], A - B)
        np.testing.assert_array_equal(result["sum"], A + B)

    def test_unknown_engine(self, linear_ptl: Path) -> None:
        """An engine that this torch lacks is refused with those it has."""
        with pytest.raises(MeasurementError, match=r"no quantized engine 'abacus'; it has .*qnnpack"):
            runtime("torchscript").open(linear_ptl, LINEAR, threads=1, engine="abacus")

    def test_garbage(self, tmp_path: Path) -> None:
        """What is no model is refused as one error."""
        path = tmp_path / "model.ptl"
        path.write_bytes(b"garbage" * 100)
        with pytest.raises(MeasurementError):
            runtime("torchscript").open(path, LINEAR, threads=1, engine="")
