"""Models of one layer written in code, and artifacts of them, as fixtures for every test."""

import warnings
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit import __version__
from edgekit.artifact import (
    MANIFEST_VERSION,
    Artifact,
    Manifest,
    OutputParity,
    Parity,
    SourceFacts,
    file_entry,
    load_artifact,
    write_manifest,
)
from edgekit.model import Signature, TensorSpec
from edgekit.plan import ConversionPlan, Format, Route
from edgekit.target import Cpu, TargetProfile

Floats = NDArray[np.float32]

WEIGHTS: Floats = (np.arange(12).reshape(3, 4) / 10 - 0.5).astype(np.float32)
BIAS: Floats = np.array([0.5, -1.0, 2.0], np.float32)

MakeArtifact = Callable[..., Artifact]


@pytest.fixture
def target() -> TargetProfile:
    """A profile without runtimes."""
    return TargetProfile(
        profile_version=1,
        name="host",
        title="This machine",
        arch="x86_64",
        system="linux",
        cpu=Cpu(model="", cores=1),
        memory_bytes=0,
        runtimes=(),
        connect=("local",),
        evidence="physical",
    )


def linear(x: Floats) -> Floats:
    """What the linear models compute."""
    return np.asarray(x @ WEIGHTS.T + BIAS, np.float32)


@pytest.fixture(scope="session")
def linear_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fully connected layer, 1x4 to 1x3, with the signature x -> y."""
    return write_tflite(tmp_path_factory.mktemp("tflite") / "linear.tflite")


def write_tflite(path: Path) -> Path:
    """The linear model as a .tflite file."""
    path.write_bytes(
        tflite_file(
            "FULLY_CONNECTED",
            tensors=[("in", (1, 4), None), ("w", (3, 4), WEIGHTS), ("b", (3,), BIAS), ("out", (1, 3), None)],
            operators=[([0, 1, 2], [3])],
            signature=({"x": 0}, {"y": 3}),
        )
    )
    return path


def layers_artifact(folder: Path, layers: int) -> Artifact:
    """An artifact of `layers` layers of 128 x 128, all the same work, and a last one of 3 x 128; x is 1 x 128."""
    width = 128
    rng = np.random.default_rng(0)
    weights = [(rng.standard_normal((width, width)) / width**0.5).astype(np.float32) for _ in range(layers)]
    weights.append(rng.standard_normal((3, width)).astype(np.float32))
    tensors: list[Tensor] = [("x", (1, width), None)]
    operators = []
    for place, weight in enumerate(weights):
        rows = len(weight)
        bias: Tensor = (f"b{place}", (rows,), np.zeros(rows, np.float32))
        tensors += [(f"w{place}", weight.shape, weight), bias, (f"y{place}", (1, rows), None)]
        last = len(tensors) - 1
        operators.append(([last - 3, last - 2, last - 1], [last]))
    folder.mkdir()
    data = tflite_file(
        "FULLY_CONNECTED", tensors=tensors, operators=operators, signature=({"x": 0}, {"y": len(tensors) - 1})
    )
    (folder / "layers.tflite").write_bytes(data)
    inputs = rng.standard_normal((4, 1, width)).astype(np.float32)
    outputs = inputs
    for weight in weights:
        outputs = outputs @ weight.T
    np.savez(folder / "golden.npz", **{"in:x": inputs, "out:y": outputs})  # type: ignore[arg-type]  # names hold a colon
    found = manifest(folder, "layers.tflite", "")
    signature = Signature(
        inputs=(TensorSpec(name="x", shape=(1, width), dtype="float32"),), outputs=found.signature.outputs
    )
    write_manifest(folder, msgspec.structs.replace(found, name=f"layers{layers}", signature=signature))
    return load_artifact(folder)


@pytest.fixture(scope="session")
def linear_ptl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in TorchScript."""
    import torch

    layer = torch.nn.Linear(4, 3).eval()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(WEIGHTS))
        layer.bias.copy_(torch.from_numpy(BIAS))
    return torchscript_file(layer, [torch.zeros(1, 4)], tmp_path_factory.mktemp("ptl") / "linear.ptl")


def torchscript_file(module: Any, example: Sequence[Any], path: Path) -> Path:
    """Trace, freeze and save for the lite interpreter."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated upstream
        traced = torch.jit.trace(module.eval(), tuple(example), strict=False)
        torch.jit.freeze(traced.eval())._save_for_lite_interpreter(str(path))
    return path


@pytest.fixture
def two_outputs_ptl(tmp_path: Path) -> Callable[[str], Path]:
    """A TorchScript model of two inputs that gives a - b and a + b, as a `tuple`, `list`, `dict` or `nested`."""
    import torch

    class Both(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

        def forward(self, a: Any, b: Any) -> Any:
            minus, plus = a - b, a + b
            kinds = {
                "tuple": (minus, plus),
                "list": [minus, plus],
                "dict": {"minus": minus, "plus": plus},
                "nested": ((minus,), plus),
            }
            return kinds[self.kind]

    example = [torch.zeros(1, 2), torch.zeros(1, 2)]
    return lambda kind: torchscript_file(Both(kind), example, tmp_path / f"{kind}.ptl")


@pytest.fixture
def tflite() -> Callable[..., bytes]:
    """Writes a .tflite file of one operator; see `tflite_file`."""
    return tflite_file


Tensor = tuple[str, tuple[int, ...], Floats | None]
"""Name, shape, and the value of a constant; float32."""


def tflite_file(
    operator_name: str,
    *,
    tensors: Sequence[Tensor],
    operators: Sequence[tuple[list[int], list[int]]],
    signature: tuple[dict[str, int], dict[str, int]] | None = None,
    quantized: dict[int, tuple[int, float, int]] | None = None,
    free_batch: bool = False,
) -> bytes:
    """A .tflite file of operators of one kind (schema: tensorflow/lite/schema/schema.fbs).

    Args:
        operator_name: Its name in the schema.
        tensors: All tensors, constants with their values.
        operators: Each one's inputs and outputs, by index; the first reads the model's inputs, the last writes its
            outputs.
        signature: Names of the inputs and outputs, to indices; None leaves the signature out.
        quantized: By tensor: its type in the schema, scale and zero point.
        free_batch: Whether the first dimension of what is not constant is dynamic.
    """
    import flatbuffers  # type: ignore[import-untyped]  # generated code has no types
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []
    for place, (name, shape, value) in enumerate(tensors):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), 0
        if free_batch and value is None:
            tensor.shapeSignature = [-1, *shape[1:]]
        if quantized and place in quantized:
            tensor.type, scale, zero_point = quantized[place]
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero_point]
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, operator_name)
    code.deprecatedBuiltinCode = min(127, code.builtinCode)
    code.version = 1
    model.operatorCodes = [code]
    options = {"FULLY_CONNECTED": "FullyConnectedOptions", "SUB": "SubOptions"}[operator_name]
    graph.operators = []
    for inputs, outputs in operators:
        one = schema.OperatorT()
        one.inputs, one.outputs = inputs, outputs
        one.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        one.builtinOptions = getattr(schema, f"{options}T")()
        graph.operators.append(one)
    graph.inputs = [place for place in operators[0][0] if tensors[place][2] is None]
    graph.outputs = operators[-1][1]
    model.subgraphs = [graph]
    if signature is not None:
        definition = schema.SignatureDefT()
        definition.signatureKey, definition.subgraphIndex = "serving_default", 0
        definition.inputs, definition.outputs = (_tensor_map(names) for names in signature)
        model.signatureDefs = [definition]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor_map(names: dict[str, int]) -> list[Any]:
    from ai_edge_litert import schema_py_generated as schema

    entries = []
    for name, place in names.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, place
        entries.append(entry)
    return entries


@pytest.fixture
def make_artifact(tmp_path: Path) -> MakeArtifact:
    """Makes an artifact of a linear model's file; see `linear_artifact`."""

    def make(model: Path, **options: Any) -> Artifact:
        return linear_artifact(tmp_path / f"{model.stem}-{model.suffix[1:]}.edgekit", model, **options)

    return make


def linear_artifact(
    folder: Path, model: Path, *, golden: Callable[[Floats], Floats] = linear, engine: str = ""
) -> Artifact:
    """An artifact of a linear model's file; `golden` replaces the source's outputs."""
    folder.mkdir()
    (folder / model.name).write_bytes(model.read_bytes())
    inputs = np.random.default_rng(0).standard_normal((4, 1, 4)).astype(np.float32)
    outputs = np.stack([golden(vector) for vector in inputs])
    np.savez(folder / "golden.npz", **{"in:x": inputs, "out:y": outputs})  # type: ignore[arg-type]  # names hold a colon, which savez takes
    write_manifest(folder, manifest(folder, model.name, engine))
    return load_artifact(folder)


MakePayload = Callable[..., Artifact]


@pytest.fixture
def make_payload(tmp_path: Path) -> MakePayload:
    """Makes an artifact that carries any bytes and that nothing can run; see `payload_artifact`."""
    numbers = count()

    def make(data: bytes, **options: Any) -> Artifact:
        return payload_artifact(tmp_path / f"{next(numbers)}.payload", data, **options)

    return make


def payload_artifact(folder: Path, data: bytes, *, name: str = "payload", file: str = "model.tflite") -> Artifact:
    """An artifact that carries any bytes; `name` and `file` are its and its model's."""
    (folder / file).parent.mkdir(parents=True)
    (folder / file).write_bytes(data)
    np.savez(folder / "golden.npz", x=np.zeros(4, np.float32))
    write_manifest(folder, msgspec.structs.replace(manifest(folder, file, ""), name=name))
    return load_artifact(folder)


def manifest(folder: Path, model: str, engine: str) -> Manifest:
    """The manifest of a linear model."""
    format_: Format = "tflite" if model.endswith(".tflite") else "torchscript"
    figures = OutputParity(
        name="y", max_abs=1e-7, rmse=1e-8, relative_rms=1e-8, cosine=1.0, sqnr_db=160.0, top1_agreement=1.0
    )
    return Manifest(
        manifest_version=MANIFEST_VERSION,
        edgekit=__version__,
        name="linear",
        format=format_,
        precision="fp32",
        model=model,
        signature=Signature(
            inputs=(TensorSpec(name="x", shape=(1, 4), dtype="float32"),),
            outputs=(TensorSpec(name="y", shape=(1, 3), dtype="float32"),),
        ),
        files=(file_entry(folder / model, model), file_entry(folder / "golden.npz")),
        source=SourceFacts(kind="pytorch", name="linear.py", sha256="0" * 64, framework="torch", parameters=15),
        plan=ConversionPlan(
            format=format_,
            precision="fp32",
            target="host",
            route=Route(reader="pytorch", representation="torch", converter="test"),
            max_error=1e-4,
            engine=engine,
        ),
        packages={},
        parity=Parity(
            passed=True, max_error=1e-4, vectors=4, golden_inputs="random", runtime="test", outputs=(figures,)
        ),
        quantized=None,
        operators={},
        reproducible=True,
        notes=(),
    )
