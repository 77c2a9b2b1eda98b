"""PyTorch to ONNX Runtime's own file format, by way of ONNX."""

from edgekit.protocols import Converter
from edgekit_converters.formats import onnx_from_torch
from edgekit_converters.formats.ort_file import SavedAsOrt

CONVERTER: Converter = SavedAsOrt(onnx_from_torch.CONVERTER)
