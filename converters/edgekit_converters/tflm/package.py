"""The files that a project with TensorFlow Lite Micro includes: the model as an array, its operators, its arena."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from edgekit import __version__
from edgekit.errors import ConversionError
from edgekit_converters.c.text import array

_METHODS: Final = (
    "Abs", "Add", "AddN", "ArgMax", "ArgMin", "AssignVariable", "AveragePool2D", "BatchMatMul", "BatchToSpaceNd",
    "BroadcastArgs", "BroadcastTo", "CallOnce", "Cast", "Ceil", "Concatenation", "Conv2D", "Cos", "CumSum",
    "DepthToSpace", "DepthwiseConv2D", "Dequantize", "Div", "DynamicUpdateSlice", "Elu", "EmbeddingLookup", "Equal",
    "Exp", "ExpandDims", "Fill", "Floor", "FloorDiv", "FloorMod", "FullyConnected", "Gather", "GatherNd", "Greater",
    "GreaterEqual", "HardSwish", "If", "L2Normalization", "L2Pool2D", "LeakyRelu", "Less", "LessEqual", "Log",
    "LogicalAnd", "LogicalNot", "LogicalOr", "Logistic", "LogSoftmax", "Maximum", "MaxPool2D", "MirrorPad", "Mean",
    "Minimum", "Mul", "Neg", "NotEqual", "Pack", "Pad", "PadV2", "Prelu", "Quantize", "ReadVariable", "ReduceAll",
    "ReduceMax", "ReduceMin", "Relu", "Relu6", "Reshape", "ResizeBilinear", "ResizeNearestNeighbor", "ReverseV2",
    "Round", "Rsqrt", "SelectV2", "Shape", "Sin", "Slice", "Softmax", "SpaceToBatchNd", "SpaceToDepth", "Split",
    "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze", "StridedSlice", "Sub", "Sum", "Svdf", "Tanh",
    "Transpose", "TransposeConv", "UnidirectionalSequenceLSTM", "Unpack", "VarHandle", "While", "ZerosLike",
)  # fmt: skip
"""What `MicroMutableOpResolver` can add (tensorflow/lite/micro/micro_mutable_op_resolver.h)."""

METHODS: Final = {method.upper(): f"Add{method}" for method in _METHODS}
"""The method for an operator, by the schema's name without its underscores."""


def method_of(op: str) -> str | None:
    """The resolver's method for an operator of the schema; None where it has none."""
    return METHODS.get(op.replace("_", ""))


def model_source(content: bytes) -> str:
    """`model.c`: the file as an array, aligned as flatbuffers want it."""
    data = array("edgekit_tflm_model", np.frombuffer(content, np.uint8), storage="", alignment=16)
    return f"/* A TFLite model: made by edgekit {__version__}; change the model, not this file. */\n{_ALIGN}\n{data}\n"


def model_header(size: int, arena: int) -> str:
    """`model.h`: the array, and the arena's size."""
    return _HEADER.format(version=__version__, size=size, arena=arena)


def operators_header(operators: Iterable[str]) -> str:
    """`ops.h`: a resolver of exactly these operators, C++.

    Raises:
        ConversionError: TensorFlow Lite Micro has not got one of them.
    """
    found = []
    for op in sorted(set(operators)):
        method = method_of(op)
        if method is None:
            raise ConversionError(
                f"TensorFlow Lite Micro has no operator {op}.", hint="Replace it in the model, or use format tflite."
            )
        found.append(method)
    calls = "\n".join(f"    TF_LITE_ENSURE_STATUS(resolver.{method}());" for method in found)
    return _OPERATORS.format(version=__version__, count=len(found), calls=calls)


_ALIGN: Final = """#include "model.h"

#if defined(__GNUC__) || defined(__clang__)
#define EDGEKIT_ALIGN(bytes) __attribute__((aligned(bytes)))
#else
#define EDGEKIT_ALIGN(bytes)
#endif
"""

_HEADER: Final = """\
/* A model for TensorFlow Lite Micro: made by edgekit {version}. */
#ifndef EDGEKIT_TFLM_MODEL_H
#define EDGEKIT_TFLM_MODEL_H

#include <stdint.h>

/* What the interpreter allocated when this was made, by the tflite-micro package on a 64-bit host; less on 32 bits. */
#define EDGEKIT_TFLM_ARENA_BYTES {arena}
#define EDGEKIT_TFLM_MODEL_BYTES {size}

#ifdef __cplusplus
extern "C" {{
#endif

extern const uint8_t edgekit_tflm_model[EDGEKIT_TFLM_MODEL_BYTES]; /* 16-byte aligned */

#ifdef __cplusplus
}}
#endif

#endif
"""

_OPERATORS: Final = """\
/* The operators that the model needs, and no others: made by edgekit {version}. */
#ifndef EDGEKIT_TFLM_OPS_H
#define EDGEKIT_TFLM_OPS_H

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

#define EDGEKIT_TFLM_OPS {count}

inline TfLiteStatus edgekit_tflm_add_ops(tflite::MicroMutableOpResolver<EDGEKIT_TFLM_OPS> &resolver)
{{
{calls}
    return kTfLiteOk;
}}

#endif
"""
