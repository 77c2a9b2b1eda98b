"""ONNX files in PyTorch: onnx2torch builds a module of the graph. Artifacts are compared with the file itself."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources import onnx_model

if TYPE_CHECKING:
    from edgekit_converters.sources.onnx_model import OnnxSource

REQUIRES: Sequence[Requirement] = (
    *onnx_model.READER.requires,
    Requirement(module="torch", extra="torch"),
    Requirement(module="onnx2torch", extra="onnx2torch"),
)


class _OnnxTorchReader:
    name = "onnx2torch"
    kinds: Sequence[SourceKind] = ("onnx",)
    representation: Representation = "torch"
    requires = REQUIRES
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The file's own."""
        return onnx_model.READER.objections(model)

    def load(self, model: SourceModel) -> LoadedSource:
        """Load the file, then build the module."""
        from edgekit_converters.sources.translated_torch import torch_from_onnx

        source = onnx_model.READER.load(model)
        return torch_from_onnx(cast("OnnxSource", source), source)


READER: SourceReader = _OnnxTorchReader()
