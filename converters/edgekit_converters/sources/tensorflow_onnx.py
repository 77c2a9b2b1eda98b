"""SavedModels, Keras and TFLite files as ONNX graphs, by tf2onnx."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources import keras_tensorflow, onnx_model, savedmodel, tflite_model

if TYPE_CHECKING:
    from edgekit_converters.sources.tensorflow_source import TensorflowSource

READERS: Final[Mapping[SourceKind, SourceReader]] = {
    "keras": keras_tensorflow.READER,
    "savedmodel": savedmodel.READER,
    "tflite": tflite_model.READER,
}
"""Who reads what is to be translated."""

REQUIRES: Final[Sequence[Requirement]] = (
    *savedmodel.READER.requires,
    *tflite_model.READER.requires,
    *onnx_model.READER.requires,
    Requirement(module="tf2onnx", extra="tf2onnx"),
)


class _TensorflowOnnxReader:
    name = "tf2onnx"
    kinds: Sequence[SourceKind] = tuple(READERS)
    representation: Representation = "onnx"
    requires = REQUIRES
    environment: Mapping[str, str] = savedmodel.READER.environment

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The file's own, and that a TFLite file has to be float."""
        return (*READERS[model.kind].objections(model), *tflite_model.already_quantized(model))

    def load(self, model: SourceModel) -> LoadedSource:
        """Load the model, then translate it."""
        from edgekit_converters.sources.translated_onnx import onnx_from_tensorflow

        return onnx_from_tensorflow(cast("TensorflowSource", READERS[model.kind].load(model)))


READER: SourceReader = _TensorflowOnnxReader()
