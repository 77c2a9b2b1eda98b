"""What is to be made of a source model: the plan, complete before any work starts."""

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from edgekit.images import Images
from edgekit.model import Representation

Format: TypeAlias = Literal["tflite", "torchscript", "onnx", "c", "ort", "executorch", "savedmodel", "tflm"]
Precision: TypeAlias = Literal["fp32", "fp16", "dynamic-int8", "int8", "int16x8", "int4-weight"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

CALIBRATED: Final[frozenset[Precision]] = frozenset({"int8", "int16x8"})
"""The precisions whose ranges come from calibration samples."""

CalibrationMethod: TypeAlias = Literal["min-max", "percentile", "entropy", "histogram"]
METHODS: Final[tuple[CalibrationMethod, ...]] = get_args(CalibrationMethod)

IoType: TypeAlias = Literal["float32", "int8"]
IO_TYPES: Final[tuple[IoType, ...]] = get_args(IoType)

INTEGER_IO: Final[frozenset[Format]] = frozenset({"tflite", "c", "tflm"})
"""The formats whose int8 can take and give integers (`--io-type int8`), as their manifests' signatures then say."""

MAX_ERROR: Final[dict[Precision, float]] = {
    "fp32": 1e-4,
    "fp16": 3e-3,
    "dynamic-int8": 0.1,
    "int8": 0.1,
    "int16x8": 0.05,
    "int4-weight": 0.3,
}
"""The default parity bar by precision: relative RMS error, RMSE / RMS of the source's output.

It equals 10^(-SQNR/20): 1e-4 is 80 dB, far under what reordered float32 sums give (measured: 125 dB and more)
and far over what a wrong weight gives; 3e-3 is 50 dB, half precision's 11-bit mantissa with room for depth
(measured: 71 dB); 0.1 is 20 dB, under which an 8-bit network's top-1 answers start to change (measured on small
CNNs: 30 to 36 dB is within a point of accuracy, 16 dB loses 2.5). With 16-bit activations 8-bit weights alone round
(measured: 41 to 43 dB): 0.05 is 26 dB. Four bits have a step of a fourteenth of a channel's range: 0.3 is 10.5 dB, and
whether a model bears that is for `--eval` to say (measured: 13.5 dB of a MobileNet, 20 to 23 dB of small networks).
"""

MAX_ERROR_OF: Final[dict[tuple[Format, Precision], float]] = {("executorch", "fp16"): 1e-2}
"""Where a runtime needs another bar: XNNPACK also adds up in half precision (measured: 48 dB on a small CNN)."""


def default_max_error(format_: Format, precision: Precision) -> float:
    """The parity bar that holds when the user gives none."""
    return MAX_ERROR_OF.get((format_, precision), MAX_ERROR[precision])


GOLDEN_SAMPLES: Final = 8
"""How many golden vectors an artifact carries: enough to show a data-dependent branch, small enough to push."""


class DataRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A calibration or evaluation set, by its file's name and its content.

    Attributes:
        name: Its file's or folder's own name; `file.py:function` for a function.
        sha256: The hash of all of it; of a function the hash of what it yielded.
        samples: How many samples it holds.
        images: How its image files became inputs; None where there are none.
    """

    name: str
    sha256: str
    samples: int
    images: Images | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The way from a source kind to a format: the reader's name, what it loads into, the converter's name."""

    reader: str
    representation: Representation
    converter: str


class ConversionPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One artifact to make.

    Attributes:
        format: What it is to be.
        precision: Its number format.
        target: The target profile's name.
        route: How it is made.
        io_type: What real-valued inputs and outputs are in the model file: `int8` lets the caller quantize, by the
            scale and zero point of the manifest's signature.
        engine: The quantized engine the target wants (`qnnpack`, `x86`, `onednn`); TorchScript int8 only.
        layout: What tensors of four dimensions are turned into (`NHWC`); empty for as the source has them.
        calibration: Representative inputs; set for the precisions of `CALIBRATED`.
        calibration_method: How ranges are taken from them; set together with `calibration`.
        evaluation: Inputs with labels, for accuracy.
        max_error: The parity bar, relative RMS error (see `MAX_ERROR`).
        max_drop: The accuracy that it may lose against its source, 0 to 1; layers stay in float until it does not lose
            more. None: as it comes.
        float_layers: The layers that compute in float for that, by their outputs' names in the model file.
        wide_weights: Whether the weights of those layers are in half precision, and not in int8.
    """

    format: Format
    precision: Precision
    target: str
    route: Route
    max_error: float
    io_type: IoType = "float32"
    engine: str = ""
    layout: str = ""
    calibration: DataRef | None = None
    calibration_method: CalibrationMethod | None = None
    evaluation: DataRef | None = None
    max_drop: float | None = None
    float_layers: tuple[str, ...] = ()
    wide_weights: bool = False

    @property
    def label(self) -> str:
        """How people call it: `tflite int8`."""
        return f"{self.format} {self.precision}"


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    """A reason why something cannot be done, found before the work; `hint` is the next step."""

    cause: str
    hint: str = ""
