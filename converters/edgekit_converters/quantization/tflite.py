"""Post-training quantization of a float TFLite model, by ai-edge-quantizer.

Its own calibration smooths ranges with a moving average and clips (16 dB where min/max gives 36 on the same
network), so ranges here are the least and greatest value seen. Inputs and outputs stay float32 unless the plan says
otherwise.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from edgekit.errors import ConversionError
from edgekit.plan import CALIBRATED, ConversionPlan, Precision
from edgekit.protocols import Tensors

SIGNATURE: Final = "serving_default"


def quantize_tflite(model: bytes, plan: ConversionPlan, calibration: Callable[[], Iterable[Tensors]]) -> bytes:
    """Quantize a float TFLite model.

    Args:
        model: The flatbuffer; its signature is `serving_default`.
        plan: Says the precision, anything but fp32, and which layers compute in float (int8 only).
        calibration: Gives a pass over the samples, by the signature's input names (int8 only).

    Raises:
        ConversionError: The quantizer refuses the model.
    """
    from ai_edge_quantizer import quantizer

    from edgekit_converters.quantization.tflite_borders import widen_outputs

    try:
        work = quantizer.Quantizer(bytearray(model))
        _RECIPES[plan.precision](work)
        if plan.precision in CALIBRATED and plan.io_type == "float32":
            _real_borders(work)
        for name in plan.float_layers:
            _leave(work, name, wide=plan.wide_weights)
        ranges = _ranges(model, work, calibration) if work.need_calibration else None
        quantized = bytes(work.quantize(ranges).quantized_model)
        return quantized if plan.io_type == "int8" else widen_outputs(quantized, model)
    except (ValueError, RuntimeError, NotImplementedError, KeyError, IndexError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConversionError(
            f"ai-edge-quantizer cannot make {plan.precision} of this model: {first[:300]}",
            hint="Try --precision fp16 or dynamic-int8.",
        ) from error


def _half(work: Any, scope: str = ".*") -> None:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.quantizer import AlgorithmName

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    work.update_quantization_recipe(scope, everything, config, algorithm_key=AlgorithmName.FLOAT_CASTING)


def _dynamic(work: Any) -> None:
    from ai_edge_quantizer import recipe

    work.load_quantization_recipe(recipe.dynamic_wi8_afp32())


def _static(work: Any) -> None:
    from ai_edge_quantizer import recipe

    work.load_quantization_recipe(recipe.static_wi8_ai8())


def _static_wide(work: Any) -> None:
    from ai_edge_quantizer import recipe

    work.load_quantization_recipe(recipe.static_wi8_ai16())


def _four_bits(work: Any) -> None:
    """By channel: with scales by block, convolutions would stay in float."""
    from ai_edge_quantizer import recipe

    work.load_quantization_recipe(recipe.dynamic_wi4c_afp32())


def _real_borders(work: Any) -> None:
    """Inputs and outputs stay real: the model quantizes and dequantizes by itself."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.quantizer import AlgorithmName

    for border in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        work.update_quantization_recipe(".*", border, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _leave(work: Any, name: str, *, wide: bool) -> None:
    """Let a layer compute in float; its weights, in int8 or `wide` in half precision, are widened when it is loaded.

    A layer's scope is the names of its outputs, a semicolon behind each; of two recipes the later counts where the
    layer's operator can do it.
    """
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.quantizer import AlgorithmName

    everything = qtyping.TFLOperationName.ALL_SUPPORTED
    work.update_quantization_recipe(f"^{re.escape(name)};", everything, algorithm_key=AlgorithmName.NO_QUANTIZE)
    again = f"^(?:{re.escape(name)});"
    if wide:
        _half(work, again)
        return
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    work.update_quantization_recipe(again, everything, config, algorithm_key=AlgorithmName.MIN_MAX_UNIFORM_QUANT)


_RECIPES: Final[Mapping[Precision, Callable[[Any], None]]] = {
    "fp16": _half,
    "dynamic-int8": _dynamic,
    "int8": _static,
    "int16x8": _static_wide,
    "int4-weight": _four_bits,
}


def _dtypes(model: bytes) -> Mapping[str, Any]:
    """The inputs' element types in the file: 32-bit where the source may have had 64."""
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_content=model).get_signature_runner(SIGNATURE).get_input_details()
    return {name: detail["dtype"] for name, detail in details.items()}


def _ranges(model: bytes, work: Any, calibration: Callable[[], Iterable[Tensors]]) -> Any:
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    recipes = recipe_manager.RecipeManager()
    recipes.load_quantization_recipe(work.get_quantization_recipe())
    observer = calibrator.Calibrator(model, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    dtypes = _dtypes(model)
    samples = [{name: value.astype(dtypes[name]) for name, value in sample.items()} for sample in calibration()]
    observer.calibrate({SIGNATURE: samples}, recipes)
    return observer.get_model_qsvs()
