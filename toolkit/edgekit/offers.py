"""What no converter makes, and why: told before anything runs, and by `edgekit routes`."""

from collections.abc import Mapping
from typing import Final

from edgekit.plan import CalibrationMethod, Format, Precision

_NO_16_BIT: Final = "has no kernels for 16-bit activations: it would round to them and compute in float"

WHY_NOT: Final[Mapping[tuple[Format, Precision], str]] = {
    ("torchscript", "int16x8"): f"PyTorch {_NO_16_BIT}",
    ("torchscript", "int4-weight"): "PyTorch's lite interpreter has no kernels for 4-bit weights",
    ("onnx", "int16x8"): f"ONNX Runtime's CPU provider {_NO_16_BIT}",
    ("ort", "int16x8"): f"ONNX Runtime's CPU provider {_NO_16_BIT}",
    ("ort", "fp16"): "an .ort file is saved with its constants folded: weights would be float32 again",
    ("executorch", "int16x8"): f"XNNPACK {_NO_16_BIT}",
    ("executorch", "int4-weight"): "XNNPACK has kernels for 4-bit weights of linear layers alone, in blocks",
    **{
        ("savedmodel", precision): "TensorFlow quantizes on the way to TFLite alone"
        for precision in ("fp16", "dynamic-int8", "int8", "int16x8", "int4-weight")
    },
    **{
        ("tflm", precision): "TFLite Micro packages are made of fp32 and int8 models"
        for precision in ("fp16", "dynamic-int8", "int16x8", "int4-weight")
    },
    **{
        ("c", precision): "the C kernels are those for fp32 and int8"
        for precision in ("fp16", "dynamic-int8", "int16x8", "int4-weight")
    },
}
"""Reasons by format and precision, whatever the source."""

CALIBRATION_METHODS: Final[Mapping[Format, tuple[CalibrationMethod, ...]]] = {
    "tflite": ("min-max",),
    "c": ("min-max",),
    "tflm": ("min-max",),
    "torchscript": ("histogram", "min-max"),
    "executorch": ("histogram", "min-max"),
    "onnx": ("min-max", "percentile", "entropy"),
    "ort": ("min-max", "percentile", "entropy"),
}
"""How ranges of activations can be found; the first is what is done when nothing is said."""

WHY_NO_METHOD: Final[Mapping[Format, str]] = {
    "tflite": "TFLiteConverter and ai-edge-quantizer look at the least and greatest value",
    "tflm": "it goes by way of TFLite, whose quantizers look at the least and greatest value",
    "c": "it goes by way of TFLite, whose quantizers look at the least and greatest value",
    "torchscript": "PyTorch's observers are for min-max and histogram, which minimizes the squared error",
    "executorch": "torchao's observers are for min-max and histogram, which minimizes the squared error",
    "onnx": "ONNX Runtime's calibrators are for min-max, percentile (99.999 %) and entropy",
    "ort": "ONNX Runtime's calibrators are for min-max, percentile (99.999 %) and entropy",
}
"""Why the others cannot be had."""
