"""TFLite to TensorFlow Lite Micro, by way of TFLite."""

from edgekit.protocols import Converter
from edgekit_converters.formats import tflite_from_tflite
from edgekit_converters.formats.tflm_package import PackagedForMicro

CONVERTER: Converter = PackagedForMicro(tflite_from_tflite.CONVERTER)
