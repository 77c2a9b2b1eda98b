"""SavedModels and TFLite files in PyTorch, by way of an ONNX graph: tf2onnx, then onnx2torch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources import onnx_torch, savedmodel, tensorflow_onnx

if TYPE_CHECKING:
    from edgekit_converters.sources.onnx_model import OnnxSource


class _TensorflowTorchReader:
    name = "tf2onnx-onnx2torch"
    kinds: Sequence[SourceKind] = ("savedmodel", "tflite")
    representation: Representation = "torch"
    requires: Sequence[Requirement] = (*tensorflow_onnx.REQUIRES, *onnx_torch.REQUIRES)
    environment: Mapping[str, str] = savedmodel.READER.environment

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The file's own."""
        return tensorflow_onnx.READER.objections(model)

    def load(self, model: SourceModel) -> LoadedSource:
        """Load the model, then translate it twice."""
        from edgekit_converters.sources.translated_torch import torch_from_onnx

        translated = tensorflow_onnx.READER.load(model)
        return torch_from_onnx(cast("OnnxSource", translated), translated)


READER: SourceReader = _TensorflowTorchReader()
