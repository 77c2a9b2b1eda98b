"""`edgekit.convert`: one model, one artifact, from Python."""

import tempfile
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact
from edgekit.conversion import Outcome, convert_all
from edgekit.images import Images
from edgekit.plan import CalibrationMethod, Format, IoType, Precision
from edgekit.planning import Request
from edgekit.protocols import Progress
from edgekit.source import open_source, parse_input


def convert(
    model: Any,
    *,
    format: Format,  # noqa: A002 - the word of the command line, and of everybody
    precision: Precision = "fp32",
    example_inputs: Any = None,
    calibration: Any = None,
    evaluation: Any = None,
    images: Images | None = None,
    layout: str = "",
    inputs: tuple[str, ...] = (),
    weights: str | Path = "",
    target: str = "host",
    out: str | Path = ".",
    name: str = "",
    max_error: float | None = None,
    max_drop: float | None = None,
    io_type: IoType = "float32",
    calibration_method: CalibrationMethod | None = None,
    trust: bool = False,
    signature: str = "",
    progress: Progress | None = None,
) -> Artifact:
    """Convert a model into one verified artifact.

    Args:
        model: A live `torch.nn.Module` or Keras model, or what the command line calls SOURCE: a `.pt2`, TorchScript,
            `.keras`, `.h5`, `.onnx` or float `.tflite` file, a SavedModel folder, or `file.py:factory`.
        format: One of `edgekit.plan.FORMATS`.
        precision: One of `edgekit.plan.PRECISIONS`.
        example_inputs: For a live PyTorch module: a tensor, a sequence of tensors, or a mapping by argument name.
        calibration: For int8 and int16x8: a path or `file.py:function` as on the command line, an array with the sample
            as first axis, a mapping of input names to such, or samples: a sequence, iterator or generator function.
        evaluation: The same with an array `labels`, for accuracy.
        images: How image files of these become inputs.
        layout: `NHWC` or `NCHW`: how the artifact takes and gives tensors of four dimensions; as the source when empty.
        inputs: Shapes as the command line writes them: `name=1x3x96x96:float32`.
        weights: The checkpoint for `file.py:factory`.
        target: The target profile's name.
        out: The folder that the artifact is written into.
        name: What the artifact is called; the source's own name when empty.
        max_error: The parity bar, relative RMS error (see `edgekit.plan.MAX_ERROR`).
        max_drop: The accuracy that int8 may lose against its source, 0 to 1; layers stay in float for it.
        calibration_method: `min-max`, `percentile`, `entropy` or `histogram`; the format's own when None.
        io_type: For int8: `int8` lets real-valued inputs and outputs be integers in the model file.
        trust: Whether code in the source may run.
        signature: Which signature of a SavedModel or TFLite file is meant.
        progress: Told of each step.

    Returns:
        The artifact; its `manifest.parity.passed` says whether it keeps to the bar.

    Raises:
        UsageError: The request is wrong.
        ConversionError: The model cannot be converted.
    """
    from edgekit.live import save_data, save_model

    with tempfile.TemporaryDirectory(prefix="edgekit-live-") as folder:
        given = tuple(parse_input(text) for text in inputs)
        request = Request(
            source=open_source(str(model), weights=str(weights), inputs=given, trusted=trust, signature=signature)
            if isinstance(model, str | Path)
            else save_model(model, example_inputs, Path(folder)),
            formats=(format,),
            precisions=(precision,),
            out=Path(out),
            target=target,
            name=name,
            calibration=save_data(calibration, Path(folder), "calibration"),
            evaluation=save_data(evaluation, Path(folder), "evaluation"),
            images=images or Images(),
            layout=layout,
            max_error=max_error,
            max_drop=max_drop,
            io_type=io_type,
            calibration_method=calibration_method,
        )
        return _only(convert_all(request, progress))


def _only(outcome: Outcome) -> Artifact:
    for failed in outcome.not_made:
        raise failed.error
    return outcome.made[0].artifact
