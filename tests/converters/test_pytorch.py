"""PyTorch models become artifacts that compute the same, or are refused with the reason."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import edgekit
from edgekit.artifact import Artifact, load_artifact, manifest_schema
from edgekit.conversion import convert_all
from edgekit.errors import ConversionError, UsageError
from edgekit.model import TensorSpec
from edgekit.planning import Request
from edgekit.source import open_source

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # PyTorch warns of its own calls

NET = Path(__file__).parents[1] / "models" / "net.py"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and data of the small network."""
    from models import net

    folder = tmp_path_factory.mktemp("net")
    net.write(folder)
    return folder


@pytest.fixture(scope="module")
def made(work: Path) -> dict[str, Artifact]:
    """The network in every format and precision, by `format precision`."""
    request = Request(
        source=open_source(f"{NET}:make_net", weights=str(work / "net.pt")),
        formats=("tflite", "torchscript"),
        precisions=("fp32", "fp16", "dynamic-int8", "int8"),
        out=work / "out",
        calibration=str(work / "samples.npz"),
        evaluation=str(work / "test.npz"),
    )
    outcome = convert_all(request)
    assert outcome.not_made == ()
    return {item.artifact.manifest.plan.label: item.artifact for item in outcome.made}


ALL = [f"{f} {p}" for f in ("tflite", "torchscript") for p in ("fp32", "fp16", "dynamic-int8", "int8")]


@pytest.mark.parametrize("label", ALL)
def test_every_artifact_keeps_to_its_bar(made: dict[str, Artifact], label: str) -> None:
    """Parity and accuracy are measured, and within what the precision allows."""
    parity = made[label].manifest.parity
    assert parity.passed
    assert parity.golden_inputs == "evaluation"
    assert parity.accuracy is not None
    assert parity.accuracy.source == 1.0  # the labels are the source's own answers
    assert parity.accuracy.artifact >= 0.9


@pytest.mark.parametrize("label", ALL)
def test_names_survive_every_route(made: dict[str, Artifact], label: str) -> None:
    """Inputs and outputs are called what the source calls them."""
    signature = made[label].manifest.signature
    assert [spec.name for spec in signature.inputs] == ["image"]
    assert [spec.name for spec in signature.outputs] == ["logits"]


@pytest.mark.parametrize("label", ALL)
def test_manifests_validate_against_the_schema(made: dict[str, Artifact], label: str) -> None:
    """The exported JSON Schema describes what is written."""
    import jsonschema

    jsonschema.validate(json.loads((made[label].path / "manifest.json").read_bytes()), manifest_schema())


def test_int8_is_quantized_throughout(made: dict[str, Artifact]) -> None:
    """Not a float model with another name: all weights and all arithmetic are integers."""
    for label in ("tflite int8", "torchscript int8"):
        share = made[label].manifest.quantized
        assert share is not None
        assert (share.weights, share.operators) == (1.0, 1.0)


def test_smaller_precisions_are_smaller(made: dict[str, Artifact]) -> None:
    """fp16 is about half of fp32, int8 is smaller still (TFLite, where the file is almost all weights)."""
    size = {label: artifact.manifest.model_bytes for label, artifact in made.items()}
    assert size["tflite int8"] < size["tflite fp16"] < 0.7 * size["tflite fp32"]


def test_the_same_request_gives_the_same_bytes(made: dict[str, Artifact], work: Path) -> None:
    """Made again without the cache, every artifact has the same id."""
    first = made["tflite int8"]
    request = Request(
        source=open_source(f"{NET}:make_net", weights=str(work / "net.pt")),
        formats=("tflite", "torchscript"),
        precisions=("int8",),
        out=work / "again",
        calibration=str(work / "samples.npz"),
        evaluation=str(work / "test.npz"),
        use_cache=False,
    )
    again = {item.artifact.manifest.plan.label: item.artifact for item in convert_all(request).made}
    assert again["tflite int8"].id == first.id
    assert again["torchscript int8"].id == made["torchscript int8"].id


def test_no_artifact_tells_where_it_was_made(made: dict[str, Artifact]) -> None:
    """PyTorch would write the lines and paths of the source's Python files into it."""
    for artifact in made.values():
        content = _unpacked(artifact.model)
        assert b"eval_with_key" not in content
        assert b"net.py(" not in content
        assert str(NET.parent).encode() not in content


def _unpacked(model: Path) -> bytes:
    if not zipfile.is_zipfile(model):
        return model.read_bytes()
    with zipfile.ZipFile(model) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_a_damaged_artifact_is_refused(made: dict[str, Artifact], tmp_path: Path) -> None:
    """One byte off is found by the hash, before anything loads it."""
    import shutil

    copy = shutil.copytree(made["tflite fp32"].path, tmp_path / "copy.edgekit")
    model = copy / "model.tflite"
    raw = bytearray(model.read_bytes())
    raw[-1] ^= 1
    model.write_bytes(raw)
    with pytest.raises(UsageError, match=r"model\.tflite is damaged"):
        load_artifact(copy)


def test_verify_runs_the_source_again(made: dict[str, Artifact], work: Path) -> None:
    """Against the source it was made of, parity is what it was."""
    artifact = made["tflite int8"]
    source = open_source(f"{NET}:make_net", weights=str(work / "net.pt"), inputs=artifact.manifest.signature.inputs)
    parity = edgekit.verify(artifact, against=source, evaluation=str(work / "test.npz"))
    assert parity.passed
    assert parity.accuracy == artifact.manifest.parity.accuracy


def test_verify_tells_another_model_apart(made: dict[str, Artifact], work: Path, tmp_path: Path) -> None:
    """The same architecture with other weights fails parity."""
    from models import net

    torch.manual_seed(1)
    torch.save(net.make_net().state_dict(), tmp_path / "other.pt")
    source = open_source(f"{NET}:make_net", weights=str(tmp_path / "other.pt"))
    with_shape = open_source(
        source.path + ":make_net", weights=source.weights, inputs=made["tflite int8"].manifest.signature.inputs
    )
    assert not edgekit.verify(made["tflite int8"], against=with_shape).passed
    del work


def test_outputs_are_matched_by_name(tmp_path: Path) -> None:
    """Two outputs of one shape, and two inputs: positions would tie."""
    outcome = convert_all(
        Request(
            source=open_source(f"{NET}:make_two", inputs=[_spec("right"), _spec("left")]),
            formats=("tflite", "torchscript"),
            precisions=("fp32",),
            out=tmp_path,
        )
    )
    for item in outcome.made:
        assert item.artifact.manifest.parity.passed
        assert [spec.name for spec in item.artifact.manifest.signature.outputs] == ["difference", "opposite"]
    assert len(outcome.made) == 2


def _spec(name: str) -> TensorSpec:
    return TensorSpec(name=name, shape=(1, 3), dtype="float32")


def test_a_branch_that_was_traced_away_fails_parity(tmp_path: Path) -> None:
    """Golden vectors differ from the example, so they take the other side too."""
    outcome = convert_all(
        Request(
            source=open_source(f"{NET}:make_branchy", inputs=[_spec("x")]),
            formats=("torchscript",),
            precisions=("fp32",),
            out=tmp_path,
        )
    )
    assert not outcome.made[0].artifact.manifest.parity.passed


def test_qnnpack_is_the_engine_for_arm(work: Path, tmp_path: Path) -> None:
    """A Raspberry Pi's int8 TorchScript is made for QNNPACK, ReLU6 and all."""
    artifact = edgekit.convert(
        f"{NET}:make_net",
        weights=work / "net.pt",
        format="torchscript",
        precision="int8",
        calibration=work / "samples.npz",
        evaluation=work / "test.npz",
        target="raspberrypi4",
        out=tmp_path,
    )
    assert artifact.manifest.plan.engine == "qnnpack"
    assert artifact.manifest.parity.passed
    assert any("ReLU6" in note for note in artifact.manifest.notes)


@pytest.mark.parametrize("kind", ["exported", "scripted"])
def test_stored_models_convert_too(kind: str, work: Path, tmp_path: Path) -> None:
    """`.pt2` and TorchScript go the same way, int8 included."""
    from models import net

    module = net.make_net().eval()
    module.load_state_dict(torch.load(work / "net.pt", weights_only=True))
    path = tmp_path / ("net.pt2" if kind == "exported" else "net.pt")
    example = (torch.randn(1, 1, 8, 8),)
    if kind == "exported":
        torch.export.save(torch.export.export(module, example), path)
    else:
        torch.jit.trace(module, example, strict=False).save(str(path))
    request = Request(
        source=open_source(str(path)),
        formats=("tflite", "torchscript"),
        precisions=("fp32", "int8"),
        out=tmp_path / "out",
        calibration=str(work / "samples.npz"),
        evaluation=str(work / "test.npz"),
    )
    outcome = convert_all(request)
    assert [(item.label, item.error.cause) for item in outcome.not_made] == []
    assert all(item.artifact.manifest.parity.passed for item in outcome.made)


def test_a_live_module_converts_and_keeps_its_mode(tmp_path: Path) -> None:
    """`edgekit.convert(model, example_inputs=…)`: training mode is put back."""
    from models import net

    module = net.make_net().train()
    artifact = edgekit.convert(
        module,
        example_inputs=torch.randn(1, 1, 8, 8),
        format="torchscript",
        precision="int8",
        calibration=np.random.default_rng(0).standard_normal((32, 1, 8, 8)).astype(np.float32),
        out=tmp_path,
    )
    assert module.training
    assert artifact.manifest.parity.passed
    assert artifact.manifest.plan.calibration is not None
    assert artifact.manifest.plan.calibration.samples == 32


def test_a_live_object_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """With what would be accepted."""
    with pytest.raises(UsageError, match="dict is no model"):
        edgekit.convert({}, format="tflite", out=tmp_path)


def test_a_factory_that_fails_is_told_with_its_cause(tmp_path: Path) -> None:
    """Nothing is left in the output folder."""
    request = Request(
        source=open_source(f"{NET}:make_broken", inputs=[_spec("x")]),
        formats=("torchscript",), precisions=("fp32",), out=tmp_path / "out",
    )  # fmt: skip
    with pytest.raises(ConversionError, match=r"make_broken failed: FileNotFoundError: backbone\.yaml"):
        convert_all(request)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("factory", "reason"),
    [("make_nett", "has no 'make_nett'"), ("make_nothing", "not a torch.nn.Module")],
)
def test_a_factory_that_is_none_is_refused(factory: str, reason: str, tmp_path: Path) -> None:
    """A wrong name is answered with the nearest."""
    request = Request(
        source=open_source(f"{NET}:{factory}", inputs=[_spec("x")]),
        formats=("torchscript",), precisions=("fp32",), out=tmp_path,
    )  # fmt: skip
    with pytest.raises(UsageError, match=reason):
        convert_all(request)


def test_a_shape_that_nobody_gave_is_asked_for(tmp_path: Path) -> None:
    """The hint shows how to write it."""
    request = Request(
        source=open_source(f"{NET}:make_net"), formats=("torchscript",), precisions=("fp32",), out=tmp_path
    )
    with pytest.raises(UsageError, match="shape of input 'image' is not known") as refused:
        convert_all(request)
    assert "--input image=" in refused.value.hint


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    """Missing and unexpected keys are named."""
    torch.save({"features.0.weight": torch.zeros(1), "extra": torch.zeros(1)}, tmp_path / "w.pt")
    request = Request(
        source=open_source(f"{NET}:make_net", weights=str(tmp_path / "w.pt"), inputs=[_spec("image")]),
        formats=("torchscript",), precisions=("fp32",), out=tmp_path,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"lacks .* and has extra"):
        convert_all(request)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    """A pickle is opened only where the user says so."""
    import os

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"state_dict": Bomb()}, tmp_path / "w.pt")
    request = Request(
        source=open_source(f"{NET}:make_net", weights=str(tmp_path / "w.pt"), inputs=[_spec("image")]),
        formats=("torchscript",), precisions=("fp32",), out=tmp_path,
    )  # fmt: skip
    with pytest.raises(UsageError, match="would run code") as refused:
        convert_all(request)
    assert "--trust" in refused.value.hint
    assert not (tmp_path / "owned").exists()
