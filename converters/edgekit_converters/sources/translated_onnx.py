"""TensorFlow's models as ONNX graphs, by tf2onnx. Artifacts are compared with the model, not with the graph."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edgekit.errors import ConversionError
from edgekit.golden import golden_inputs
from edgekit.model import Signature, TensorSpec
from edgekit.protocols import Array, LoadedSource, Tensors
from edgekit_converters.formats.onnx_file import name_borders
from edgekit_converters.sources.matching import match_by_value
from edgekit_converters.sources.onnx_model import OnnxSource, session_of
from edgekit_converters.sources.tflite_source import TfliteSource

if TYPE_CHECKING:
    from edgekit_converters.sources.tensorflow_source import TensorflowSource

_OPSET: Final = 17
"""Quantization by channel came with 13, LayerNormalization with 17; newer ones tf2onnx writes in part only."""


_MATCHED: Final = 3
"""Vectors that outputs are told apart by: two that agree on three random ones are the same."""


class TranslatedOnnx(OnnxSource):
    """A graph that was made of another framework's model, and that model, which says what is right."""

    def __init__(
        self, model: Any, original: LoadedSource, bindings: Mapping[str, str], notes: Sequence[str] = ()
    ) -> None:
        super().__init__(
            model,
            original.signature.inputs,
            framework=original.framework,
            notes=(*original.notes, "ONNX took the model through tf2onnx.", *notes),
        )
        self.operators = original.operators
        self.parameters = original.parameters
        self.signature = Signature(
            inputs=original.signature.inputs,
            outputs=tuple(_bound(spec, bindings[spec.name]) for spec in original.signature.outputs),
        )
        self._original = original

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """Run the original."""
        return dict(self._original.run(inputs))


def onnx_from_tensorflow(source: "TensorflowSource | TfliteSource") -> TranslatedOnnx:
    """The graph of a model, its inputs and outputs by the model's names.

    Raises:
        ConversionError: tf2onnx lacks an operator; its name is in the cause.
    """
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        if isinstance(source, TfliteSource):
            with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
                file.write(source.content)
                file.flush()
                model, _ = tf2onnx.convert.from_tflite(file.name, opset=_OPSET)
        else:
            # Frozen, because tf2onnx takes constants that the function captured for inputs.
            frozen = convert_variables_to_constants_v2(source.function, lower_control_flow=False)
            traced = SimpleNamespace(get_concrete_function=lambda: frozen)
            model, _ = tf2onnx.convert.from_function(traced, input_signature=(), opset=_OPSET)
    except Exception as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConversionError(
            f"tf2onnx cannot make an ONNX graph of this model: {first[:300]}",
            hint="TFLite may take the model: --format tflite.",
        ) from error
    inputs = _input_names(model, source.signature.inputs)
    outputs, notes = _output_names(model, source, inputs)
    called = name_borders(model, inputs, outputs)
    return TranslatedOnnx(model, source, dict(zip(outputs, called, strict=True)), notes)


def _input_names(model: Any, specs: Sequence[TensorSpec]) -> list[str]:
    """The source's names in the order of the graph: by name where tf2onnx kept them, else by position."""
    kept, wanted = [item.name.partition(":")[0] for item in model.graph.input], [spec.name for spec in specs]
    return kept if sorted(kept) == sorted(wanted) else wanted


def _output_names(
    model: Any, source: "TensorflowSource | TfliteSource", inputs: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """The same of the outputs: by name, else by value, which the notes then say."""
    kept = [item.name for item in model.graph.output]
    wanted = [spec.name for spec in source.signature.outputs]
    if len(wanted) == 1 or sorted(kept) == sorted(wanted):
        return (kept if len(wanted) > 1 else wanted), ()
    vectors = golden_inputs(source.signature, None, None)[0][:_MATCHED]
    graph = session_of(model.SerializeToString())
    feeds = [
        {item.name: vector[name] for item, name in zip(model.graph.input, inputs, strict=True)} for vector in vectors
    ]
    names = match_by_value([source.run(vector) for vector in vectors], [graph.run(None, feed) for feed in feeds])
    return names, (f"tf2onnx calls the outputs {', '.join(kept)}: matched by their values.",)


def _bound(spec: TensorSpec, name: str) -> TensorSpec:
    return spec if spec.name == name else msgspec.structs.replace(spec, binding=name)
