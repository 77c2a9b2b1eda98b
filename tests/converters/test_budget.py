"""`--max-drop`: layers stay in float until an accuracy budget is kept, and no more of them than that takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.artifact import Artifact
from edgekit.conversion import Outcome, convert_all
from edgekit.errors import ConversionError, UsageError
from edgekit.plan import Format, Precision
from edgekit.planning import Request, plan_conversion
from edgekit.source import open_source
from edgekit_cli.main import main
from models import net

SOURCE = f"{Path(net.__file__)}:make_net"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that loses more than three points in plain int8, and its data."""
    folder = tmp_path_factory.mktemp("uneven")
    net.write_uneven(folder, 100.0)
    return folder


def request(
    work: Path, *formats: Format, max_drop: float, precisions: tuple[Precision, ...] = ("int8",), **options: Any
) -> Request:
    """To convert the network of a folder."""
    given = {"calibration": str(work / "samples.npz"), "evaluation": str(work / "test.npz")} | options
    source = open_source(SOURCE, weights=str(work / "net.pt"))
    return Request(
        source=source, formats=formats, precisions=precisions, out=work / "out", max_drop=max_drop, **given
    )  # fmt: skip


def by_precision(outcome: Outcome) -> dict[str, Artifact]:
    """All must have been made."""
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    return {item.artifact.manifest.precision: item.artifact for item in outcome.made}


@pytest.mark.slow
class TestKept:
    @pytest.mark.parametrize("format_", ["tflite", "onnx"])
    def test_layers_stay_in_float(self, format_: Format, uneven: Path) -> None:
        """Those to blame alone: half a point is kept at 60 % of the size; the manifest says which and why."""
        made = by_precision(convert_all(request(uneven, format_, max_drop=0.005, precisions=("fp32", "int8"))))
        manifest, whole = made["int8"].manifest, made["fp32"].manifest
        assert whole.budget is None
        assert manifest.budget is not None
        assert manifest.parity.accuracy is not None
        assert (manifest.budget.plain.drop_points or 0) > 3
        assert (manifest.parity.accuracy.drop_points or 0) <= 0.5
        assert manifest.model_bytes <= 0.6 * whole.model_bytes
        kept = manifest.budget.kept
        assert tuple(layer.name for layer in kept) == manifest.plan.float_layers
        assert len({layer.because for layer in kept}) == 1
        assert all(layer.added > 0.02 for layer in kept)
        assert manifest.quantized is not None
        assert 0 < manifest.quantized.operators < 1  # what need not be in float is not

    def test_one_that_keeps_to_it_anyway(self, tmp_path: Path) -> None:
        """Plain int8."""
        net.write(tmp_path)
        manifest = by_precision(convert_all(request(tmp_path, "onnx", max_drop=0.05)))["int8"].manifest
        assert manifest.budget is not None
        assert (manifest.budget.kept, manifest.budget.tried) == ((), 1)
        assert manifest.plan.float_layers == ()

    def test_one_that_cannot_be_kept(self, uneven: Path) -> None:
        """Says how near it comes."""
        outcome = convert_all(request(uneven, "onnx", max_drop=-0.5))
        assert not outcome.made
        error = outcome.not_made[0].error
        assert isinstance(error, ConversionError)
        assert "cannot keep to the accuracy budget" in error.cause
        assert "--max-drop" in error.hint

    def test_no_labels(self, uneven: Path) -> None:
        """Then there is no accuracy."""
        images = np.load(uneven / "test.npz")["image"]
        np.savez(uneven / "bare.npz", image=images)
        outcome = convert_all(request(uneven, "onnx", max_drop=0.01, evaluation=str(uneven / "bare.npz")))
        assert "needs labels" in outcome.not_made[0].error.cause

    def test_the_command(self, uneven: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Tells before and after, and what stays in float."""
        words = ["--weights", str(uneven / "net.pt"), "--calibration", str(uneven / "samples.npz")]
        words += ["--eval", str(uneven / "test.npz"), "--out", str(uneven / "out"), "--max-drop", "0.5%"]
        assert main(["convert", SOURCE, "--format", "onnx", "--precision", "int8", *words]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "plain int8 loses 6." in shown
        assert "in float to lose 0.5 at most: relu" in shown


class TestRefused:
    @pytest.mark.parametrize(
        ("formats", "options", "words"),
        [
            (("onnx",), {"evaluation": ""}, "needs samples with labels"),
            (("onnx",), {"precisions": ("fp16",)}, "is for int8"),
            (("tflite", "torchscript"), {}, "cannot be kept in torchscript"),
        ],
        ids=str,
    )
    def test_before_any_work(
        self, formats: tuple[Format, ...], options: dict[str, Any], words: str, tmp_path: Path
    ) -> None:
        """Where nothing can be measured, or nothing be done about it."""
        for name in ("net.pt", "samples.npz", "test.npz"):
            (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageError, match=words) as caught:
            plan_conversion(request(tmp_path, *formats, max_drop=0.01, **options))
        assert caught.value.hint

    @pytest.mark.slow
    def test_tensorflows_own_converter(self, tmp_path: Path) -> None:
        """Quantizes whole models only; the way around is told."""
        model = tmp_path / "model"
        model.mkdir()
        (model / "saved_model.pb").write_bytes(b"x")
        (tmp_path / "samples.npz").write_bytes(b"x")
        data = str(tmp_path / "samples.npz")
        asked = Request(
            source=open_source(str(model)), formats=("tflite",), precisions=("int8",), out=tmp_path / "out",
            calibration=data, evaluation=data, max_drop=0.01,
        )  # fmt: skip
        with pytest.raises(UsageError, match="leaves no layer in float") as caught:
            plan_conversion(asked)
        assert "model.tflite" in caught.value.hint
