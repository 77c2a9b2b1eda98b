"""TFLite to C, by way of TFLite."""

from edgekit.protocols import Converter
from edgekit_converters.formats import tflite_from_tflite
from edgekit_converters.formats.c_source import CompiledToC

CONVERTER: Converter = CompiledToC(tflite_from_tflite.CONVERTER)
