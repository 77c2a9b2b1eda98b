"""Decide how artifacts are made before anything slow runs: the way, the target's wishes, what speaks against it."""

from pathlib import Path

import msgspec

from edgekit import catalog
from edgekit.errors import UsageError
from edgekit.fingerprint import environment, hash_path, hash_request, hash_source
from edgekit.images import Images, holds_images
from edgekit.layout import NATURAL, check_layout
from edgekit.limits import Limits
from edgekit.model import SourceModel
from edgekit.offers import CALIBRATION_METHODS, WHY_NO_METHOD
from edgekit.plan import (
    CALIBRATED,
    INTEGER_IO,
    CalibrationMethod,
    ConversionPlan,
    DataRef,
    Format,
    IoType,
    Precision,
    Route,
    default_max_error,
)
from edgekit.protocols import ReadsQuantized, SourceReader
from edgekit.routes import Way, check_names, find_way
from edgekit.target import TargetProfile
from edgekit.user_code import split_function


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for: a source, and the artifacts to make of it.

    Attributes:
        source: The source model.
        formats: Formats, each in every precision.
        precisions: Precisions.
        out: The folder that artifacts are written into.
        target: The target profile's name.
        name: What artifacts are called in front of format and precision; the source's own name when empty.
        calibration_method: How ranges are taken from it; the format's own way when None.
        calibration: The calibration set: a path, or `file.py:function`; needed for int8.
        evaluation: The evaluation set.
        max_error: The parity bar; the precision's default when None.
        max_drop: The accuracy that int8 may lose against its source, 0 to 1; None: as it comes.
        io_type: What real-valued inputs and outputs of int8 artifacts are in the model file.
        layout: How artifacts take and give their tensors of four dimensions: `NHWC` or `NCHW`; empty for as the source.
        images: How image files of these sets become inputs.
        use_cache: Whether an artifact made before by the same request may be taken.
        limits: The most time and memory that a worker may take.
    """

    source: SourceModel
    formats: tuple[Format, ...]
    precisions: tuple[Precision, ...]
    out: Path
    target: str = "host"
    name: str = ""
    calibration_method: CalibrationMethod | None = None
    calibration: str = ""
    evaluation: str = ""
    layout: str = ""
    images: Images = Images()
    max_error: float | None = None
    max_drop: float | None = None
    io_type: IoType = "float32"
    use_cache: bool = True
    limits: Limits = Limits()


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact to make: how, under which name, and its key in the cache."""

    plan: ConversionPlan
    way: Way
    name: str
    key: str


def plan_conversion(request: Request) -> tuple[Planned, ...]:
    """Decide how every artifact is made; nothing slow runs.

    Raises:
        UsageError: Something asked for cannot be done: unknown names, no way, missing packages or data, a source
            that is damaged or would run code, a target that cannot run the format.
    """
    check_names(request.formats, request.precisions)
    if request.max_drop is not None:
        _check_budget(request)
    layout = _layout(request)
    if request.io_type != "float32":
        _check_integer_io(request)
    facts = _Facts(
        profile=catalog.targets().load(request.target),
        source_sha256=hash_source(request.source),
        calibration=_data(request.calibration, "calibration", request.images),
        evaluation=_data(request.evaluation, "evaluation", request.images),
    )
    return tuple(
        _plan_one(request, facts, format_, precision, layout)
        for format_ in request.formats
        for precision in request.precisions
    )


def _layout(request: Request) -> str:
    """What tensors are to be turned into; empty when they stay as the source has them.

    Raises:
        UsageError: There is no such layout, or the source cannot be turned.
    """
    check_layout(request.layout)
    if not request.layout or request.layout == NATURAL[request.source.kind]:
        return ""
    if request.source.kind == "torchscript":
        raise UsageError(
            f"{request.source.path} keeps its layout: TorchScript's control flow cannot be built around.",
            hint="Give the model as file.py:factory, .pt2 or ONNX.",
        )
    return request.layout


def _check_budget(request: Request) -> None:
    """Refuse an accuracy budget that nothing can be measured for, or that nothing can be done about."""
    if "int8" not in request.precisions:
        raise UsageError("An accuracy budget is for int8, which is not asked for.", hint="Add --precision int8.")
    if not request.evaluation:
        raise UsageError(
            "An accuracy budget needs samples with labels, to measure accuracy with.", hint="Give them: --eval FILE.npz"
        )
    without = [format_ for format_ in request.formats if format_ not in catalog.TRACERS]
    if without:
        raise UsageError(
            f"An accuracy budget cannot be kept in {without[0]}: its layers cannot be looked at.",
            hint=f"It can be in {' and '.join(catalog.TRACERS)}.",
        )


def _check_integer_io(request: Request) -> None:
    """Refuse integer inputs and outputs where nothing would have them."""
    if "int8" not in request.precisions:
        raise UsageError(
            f"Inputs and outputs of type {request.io_type} are for int8, which is not asked for.",
            hint="Add --precision int8.",
        )
    without = [format_ for format_ in request.formats if format_ not in INTEGER_IO]
    if without:
        raise UsageError(
            f"{without[0]} artifacts keep real-valued inputs and outputs: their runtime quantizes inside.",
            hint=f"Integers go in and out of {' and '.join(sorted(INTEGER_IO))}; else leave --io-type out.",
        )


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What all plans of a request share."""

    profile: TargetProfile
    source_sha256: str
    calibration: DataRef | None
    evaluation: DataRef | None


def _data(text: str, what: str, images: Images) -> DataRef | None:
    """The set by name and content; its samples are counted when it is opened."""
    if not text:
        return None
    path = Path(split_function(text)[0])
    if not path.exists():
        raise UsageError(f"There is no {what} data at {path}.")
    shown = images if path.is_dir() and holds_images(path) else None
    return DataRef(name=Path(text).name, sha256=hash_path(path), samples=0, images=shown)


def _plan_one(request: Request, facts: _Facts, format_: Format, precision: Precision, layout: str) -> Planned:
    way = find_way(request.source.kind, format_, precision, through="torch" if layout else None)
    plan = ConversionPlan(
        format=format_,
        precision=precision,
        target=facts.profile.name,
        route=Route(reader=way.reader.name, representation=way.reader.representation, converter=way.converter.name),
        io_type=request.io_type if precision == "int8" else "float32",
        engine=_engine(facts.profile, format_, precision),
        layout=layout,
        calibration=facts.calibration if precision in CALIBRATED else None,
        calibration_method=_method(request, format_, precision),
        evaluation=facts.evaluation,
        max_error=default_max_error(format_, precision) if request.max_error is None else request.max_error,
        max_drop=request.max_drop if precision == "int8" else None,
    )
    _check(request.source, way, plan, facts.profile)
    name = _name(request, plan)
    source = request.source
    given = (source.inputs, source.trusted, source.signature, facts.calibration)
    key = hash_request(facts.source_sha256, name, plan, facts.profile, given, environment())
    return Planned(plan=plan, way=way, name=name, key=key)


def _method(request: Request, format_: Format, precision: Precision) -> CalibrationMethod | None:
    """How ranges are taken from calibration samples.

    Raises:
        UsageError: The format's quantizer cannot do it that way.
    """
    offered = CALIBRATION_METHODS.get(format_, ())
    if precision not in CALIBRATED or not offered:
        return None
    if request.calibration_method in {None, *offered}:
        return request.calibration_method or offered[0]
    raise UsageError(
        f"{format_} cannot be calibrated by {request.calibration_method}: {WHY_NO_METHOD[format_]}.",
        hint=f"Leave --calibration-method out, or use {' or '.join(offered)}.",
    )


def _engine(profile: TargetProfile, format_: Format, precision: Precision) -> str:
    """The quantized engine the target wants; only quantized TorchScript has one."""
    runtime = profile.runtime_for(format_)
    wanted = format_ == "torchscript" and precision in {"int8", "dynamic-int8"}
    return runtime.engine if runtime is not None and wanted else ""


def _name(request: Request, plan: ConversionPlan) -> str:
    stem = request.name or Path(request.source.path).stem
    target = () if plan.target == "host" else (plan.target,)
    io = () if plan.io_type == "float32" else (f"{plan.io_type}io",)
    layout = (plan.layout.lower(),) if plan.layout else ()
    return "-".join((stem, plan.format, plan.precision, *io, *layout, *target))


def _check(source: SourceModel, way: Way, plan: ConversionPlan, profile: TargetProfile) -> None:
    if plan.precision in CALIBRATED and plan.calibration is None and not _is_quantized(way.reader, source):
        raise UsageError(
            f"{plan.label} needs calibration data: representative inputs that the ranges are taken from.",
            hint="Give some 100 samples: --calibration FILE.npz (an array for each input, first axis the sample).",
        )
    fit = catalog.targets().misfits(profile, format_=plan.format, engine=plan.engine)
    for objection in (*way.reader.objections(source), *way.converter.objections(source, plan), *fit):
        raise UsageError(objection.cause, hint=objection.hint)


def _is_quantized(reader: SourceReader, source: SourceModel) -> bool:
    return isinstance(reader, ReadsQuantized) and reader.is_quantized(source)
