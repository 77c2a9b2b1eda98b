"""ONNX files, executed by ONNX Runtime. Weights that lie beside the file are read from its own folder only."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

from edgekit.errors import ConversionError, UsageError
from edgekit.model import Representation, Signature, SourceKind, SourceModel, TensorSpec
from edgekit.plan import Objection
from edgekit.protocols import Array, LoadedSource, Requirement, SourceReader, Tensors
from edgekit_converters.sources.inputs import resolve_inputs

_FREE: Final = "Shapes stay free in the file: ONNX Runtime does not load it with fixed ones."


class _OnnxReader:
    name = "onnx"
    kinds: Sequence[SourceKind] = ("onnx",)
    representation: Representation = "onnx"
    requires: Sequence[Requirement] = tuple(
        Requirement(module=module, extra="onnx") for module in ("onnx", "onnxruntime")
    )
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:  # noqa: ARG002 - the protocol's
        """None that shows without ONNX's own library."""
        return []

    def load(self, model: SourceModel) -> LoadedSource:
        """Read and check the file; inputs and outputs keep its names."""
        import onnx

        try:
            # Weights in other files are refused by onnx where they are links, or lie outside the file's folder.
            loaded = onnx.load(model.path)
            onnx.checker.check_model(loaded)
        except Exception as error:  # protobuf's and the checker's exceptions have no common base but this
            raise UsageError(
                f"{model.path} is no ONNX file that onnx {onnx.__version__} reads: {_first_line(error)}",
                hint="Export it again, with the files of its weights beside it.",
            ) from error
        inputs = resolve_inputs(*_inputs(loaded.graph, model))
        framework = f"onnx {onnx.__version__}"
        try:
            return OnnxSource(_fixed(loaded, inputs), inputs, framework=framework)
        except ConversionError:
            # A branch that is never taken may not hold for these shapes, and only then is it looked at.
            return OnnxSource(loaded, inputs, framework=framework, notes=(_FREE,))


class OnnxSource:
    """A `LoadedSource` in ONNX Runtime.

    Attributes:
        model: The file, all weights inside; every input's shape is fixed where it can be.
    """

    def __init__(self, model: Any, inputs: Sequence[TensorSpec], *, framework: str, notes: Sequence[str] = ()) -> None:
        from edgekit_converters.formats.onnx_file import finish, onnx_facts

        self.model = model
        self.framework = framework
        self.operators: Mapping[str, int] = onnx_facts(model).operators
        self.parameters = sum(prod(item.dims) for item in model.graph.initializer)
        self.notes = notes
        self._session = session_of(finish(model))
        outputs = tuple(
            TensorSpec(name=item.name, shape=_dims(item), dtype=_dtype(declared))
            for item, declared in zip(self._session.get_outputs(), model.graph.output, strict=True)
        )
        self.signature = Signature(inputs=tuple(inputs), outputs=outputs)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run once, all inputs by name."""
        given = {spec.name: inputs[spec.name] for spec in self.signature.inputs}
        names = [spec.name for spec in self.signature.outputs]
        try:
            return dict(zip(names, self._session.run(names, given), strict=True))
        except Exception as error:  # ONNX Runtime's exceptions have no common base but this
            raise ConversionError(
                f"ONNX Runtime cannot execute this model on these inputs: {_first_line(error)}",
                hint="Where inputs made at random are none that it takes, give real ones: --calibration FILE.npz",
            ) from error


def session_of(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        raise ConversionError(
            f"ONNX Runtime {onnxruntime.__version__} cannot execute this model: {_first_line(error)}",
            hint="It may use an operator that ONNX Runtime lacks, or an opset newer than it knows.",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _inputs(graph: Any, model: SourceModel) -> tuple[list[str], Sequence[TensorSpec], list[TensorSpec]]:
    """The names of the inputs that are no weights, what the user gave of them, and what the file says of them."""
    weights = {item.name for item in graph.initializer}
    free = [item for item in graph.input if item.name not in weights]
    ragged = [item.name for item in (*free, *graph.output) if item.type.WhichOneof("value") != "tensor_type"]
    if ragged:
        raise UsageError(f"{ragged[0]!r} is no tensor: edgekit measures models of tensors alone.")
    known = [
        TensorSpec(name=item.name, shape=_declared(item), dtype=_dtype(item))
        for item in free
        if item.type.tensor_type.HasField("shape")
    ]
    return [item.name for item in free], model.inputs, known


def _declared(item: Any) -> tuple[int | str, ...]:
    """A declared shape; a dimension without a size keeps its name, or gets one."""
    dims = item.type.tensor_type.shape.dim
    names = ("batch", *(f"dim_{place}" for place in range(1, len(dims))))
    return tuple(
        int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or name
        for dim, name in zip(dims, names, strict=False)
    )


def _dims(item: Any) -> tuple[int | str, ...]:
    """The shape of a session's output."""
    return tuple(dim if isinstance(dim, int) else dim or f"dim_{place}" for place, dim in enumerate(item.shape))


def _dtype(item: Any) -> str:
    from onnx import helper

    return str(helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name)


def _fixed(model: Any, inputs: Sequence[TensorSpec]) -> Any:
    """The same with these shapes, and what follows from them."""
    import onnx

    shapes = {spec.name: spec.shape for spec in inputs}
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for item in fixed.graph.input:
        dims = item.type.tensor_type.shape.dim
        if item.name not in shapes:
            continue
        del dims[:]
        for size in shapes[item.name]:
            dims.add().dim_value = int(size)
    del fixed.graph.value_info[:]
    for item in fixed.graph.output:
        item.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(fixed)


READER: SourceReader = _OnnxReader()
