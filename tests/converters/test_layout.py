"""`--layout`: artifacts take images as the caller has them; data stay as the source takes them."""

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.conversion import convert_all
from edgekit.errors import UsageError
from edgekit.model import TensorSpec
from edgekit.planning import Request, plan_conversion
from edgekit.source import open_source

NETS = Path(__file__).parents[1] / "zoo" / "nets.py"
IMAGE = TensorSpec(name="image", shape=(1, 3, 32, 32), dtype="float32")


def _request(factory: str, out: Path, **more: object) -> Request:
    source = open_source(f"{NETS}:{factory}", inputs=[IMAGE])
    return Request(source=source, out=out, **more)  # type: ignore[arg-type]  # named at the calls


@pytest.mark.slow
def test_a_network_takes_and_gives_nhwc_in_every_format(tmp_path: Path) -> None:
    """Its data stay NCHW; the manifest says what the file takes, and TFLite needs fewer transposes than before."""
    samples = np.random.default_rng(0).standard_normal((8, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", image=samples)
    request = _request(
        "unet", tmp_path, formats=("tflite", "torchscript", "onnx"), precisions=("fp32",), layout="NHWC",
        calibration=str(tmp_path / "samples.npz"),
    )  # fmt: skip
    outcome = convert_all(request)
    assert [failed.error.cause for failed in outcome.not_made] == []
    for made in outcome.made:
        manifest = made.artifact.manifest
        assert manifest.parity.passed
        assert manifest.name.endswith("fp32-nhwc")
        (image,), (mask,) = manifest.signature.inputs, manifest.signature.outputs
        assert (image.shape, image.layout) == ((1, 32, 32, 3), "NHWC")
        assert (mask.shape, mask.layout) == ((1, 32, 32, 4), "NHWC")
        golden = np.load(made.artifact.golden)
        assert (golden["in:image"][0] == samples[0].transpose(1, 2, 0)).all()
    tflite = outcome.made[0].artifact
    assert "TRANSPOSE" not in tflite.manifest.operators
    against = open_source(f"{NETS}:unet", inputs=[IMAGE])
    assert edgekit.verify(tflite, against=against, evaluation=str(tmp_path / "samples.npz")).passed


@pytest.mark.slow
def test_int8_is_calibrated_in_the_layout_of_the_file(tmp_path: Path) -> None:
    """With the samples of the source."""
    samples = np.random.default_rng(0).standard_normal((16, 3, 32, 32)).astype(np.float32)
    artifact = edgekit.convert(
        f"{NETS}:unet", inputs=("image=1x3x32x32",), format="tflite", precision="int8", layout="NHWC",
        calibration=samples, out=tmp_path,
    )  # fmt: skip
    assert artifact.manifest.parity.passed
    assert artifact.manifest.signature.inputs[0].shape == (1, 32, 32, 3)


@pytest.mark.slow
def test_a_model_without_images_is_refused(tmp_path: Path) -> None:
    """There is nothing to turn."""
    source = open_source(f"{NETS}:unbatched", inputs=[TensorSpec(name="input", shape=(40,), dtype="float32")])
    with pytest.raises(UsageError, match="no input of four dimensions that could be NHWC"):
        convert_all(Request(source=source, formats=("torchscript",), precisions=("fp32",), out=tmp_path, layout="NHWC"))


def test_a_layout_that_the_source_has_changes_nothing(tmp_path: Path) -> None:
    """The plan is that without it."""
    plans = [
        plan_conversion(_request("unet", tmp_path, formats=("tflite",), precisions=("fp32",), layout=layout))[0]
        for layout in ("", "NCHW")
    ]
    assert plans[0].plan == plans[1].plan
    assert plans[0].key == plans[1].key


def test_what_cannot_be_turned_is_refused_before_work(tmp_path: Path) -> None:
    """A layout that does not exist; a script, which nothing can be built around."""
    with pytest.raises(UsageError, match="no layout 'NWHC'"):
        plan_conversion(_request("unet", tmp_path, formats=("tflite",), precisions=("fp32",), layout="NWHC"))
    (tmp_path / "net.pt").write_bytes(b"script")
    with pytest.raises(UsageError, match=r"net\.pt keeps its layout"):
        plan_conversion(
            Request(
                source=open_source(str(tmp_path / "net.pt")), formats=("tflite",), precisions=("fp32",), out=tmp_path,
                layout="NHWC",
            )
        )  # fmt: skip
