"""Keras and SavedModel to C, by way of TFLite."""

from edgekit.protocols import Converter
from edgekit_converters.formats import tflite_from_tensorflow
from edgekit_converters.formats.c_source import CompiledToC

CONVERTER: Converter = CompiledToC(tflite_from_tensorflow.CONVERTER)
