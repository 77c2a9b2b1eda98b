"""PyTorch models become `.pte` files that XNNPACK executes, in the precision that was asked for."""

from pathlib import Path

import pytest

import edgekit
from edgekit import Schedule, catalog
from edgekit.artifact import Artifact
from edgekit.conversion import convert_all
from edgekit.errors import MeasurementError, UsageError
from edgekit.planning import Request
from edgekit.source import open_source
from models import net

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """The small network in three precisions; each takes seconds."""
    work = tmp_path_factory.mktemp("net")
    net.write(work)
    request = Request(
        source=open_source(f"{net.__file__}:make_net", weights=str(work / "net.pt")),
        formats=("executorch",),
        precisions=("fp32", "dynamic-int8", "int8"),
        out=work / "out",
        calibration=str(work / "samples.npz"),
        evaluation=str(work / "test.npz"),
    )
    outcome = convert_all(request)
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    return {item.artifact.manifest.precision: item.artifact for item in outcome.made}


@pytest.mark.parametrize("precision", ["fp32", "dynamic-int8", "int8"])
def test_every_artifact_keeps_to_its_bar(made: dict[str, Artifact], precision: str) -> None:
    """Measured by ExecuTorch itself; names are the source's, and the manifest tells what XNNPACK executes."""
    manifest = made[precision].manifest
    assert manifest.parity.passed
    assert manifest.parity.runtime.startswith("ExecuTorch 1.")
    assert [spec.name for spec in (*manifest.signature.inputs, *manifest.signature.outputs)] == ["image", "logits"]
    total = sum(manifest.operators.values())
    assert f"XNNPACK executes {total} of {total} operators in 1 part" in manifest.notes


def test_int8_is_quantized_throughout(made: dict[str, Artifact]) -> None:
    """All weights and all arithmetic, and the file is smaller for it."""
    share = made["int8"].manifest.quantized
    assert share is not None
    assert (share.weights, share.operators) == (1.0, 1.0)
    assert made["int8"].manifest.model_bytes < 0.5 * made["fp32"].manifest.model_bytes


def test_it_is_measured_like_any_other(made: dict[str, Artifact]) -> None:
    """Golden vectors first, in a process that imports ExecuTorch's runtime and not its exporter."""
    run = edgekit.benchmark(made["int8"], device="local:", schedule=Schedule(repeat=1, min_time_s=0.02))
    assert run.golden is not None
    assert run.golden.passed
    assert run.delegate == "XNNPACK in 1 part"


def test_files_and_inputs_that_do_not_fit_are_refused(made: dict[str, Artifact], tmp_path: Path) -> None:
    """A cut file, and an input of another shape, in one line each."""
    import numpy as np

    artifact = made["int8"]
    runtime = next(item for item in catalog.runtimes() if item.format == "executorch")
    cut = tmp_path / "cut.pte"
    cut.write_bytes(artifact.model.read_bytes()[:1000])
    with pytest.raises(MeasurementError):
        runtime.open(cut, artifact.manifest.signature, threads=1, engine="")
    session = runtime.open(artifact.model, artifact.manifest.signature, threads=1, engine="")
    with pytest.raises(UsageError, match="Input 'image' has shape 1x1x8x9"):
        session.run({"image": np.zeros((1, 1, 8, 9), np.float32)})


def test_recurrent_layers_are_quantized_too() -> None:
    """torch.export keeps an LSTM whole, which the quantizer does not know: it is taken apart first."""
    import torch

    from edgekit.plan import ConversionPlan, Route
    from edgekit_converters.quantization.torch_pt2e import quantize_pt2e, quantized_share

    class Recurrent(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(8, 16, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lstm(x)[0]

    example = (torch.randn(1, 2, 8),)
    plan = ConversionPlan(
        format="executorch", precision="int8", target="host", max_error=0.1, calibration_method="min-max",
        route=Route(reader="pytorch", representation="torch", converter="executorch"),
    )  # fmt: skip
    share = quantized_share(quantize_pt2e(torch.export.export(Recurrent().eval(), example), example, [example], plan))
    assert (share.weights, share.operators) == (1.0, 1.0)
