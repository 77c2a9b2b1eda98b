"""TFLite by litert-torch, TFLiteConverter and onnx2tf; int8 by TFLiteConverter or ai-edge-quantizer's own recipes."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sources import Sample, Source


def _from_torch(source: "Source", precision: str, folder: Path) -> Path:
    import litert_torch

    plain = folder.parent / "float.tflite"
    if not plain.exists():
        litert_torch.convert(source.held, source.example()).export(str(plain))
    return plain if precision == "fp32" else _quantized(plain, source, precision, folder)


def _from_tflite(source: "Source", precision: str, folder: Path) -> Path:
    plain = Path(source.path)
    return plain if precision == "fp32" else _quantized(plain, source, precision, folder)


def _from_keras(source: "Source", precision: str, folder: Path) -> Path:
    import tensorflow as tf

    return _tensorflows(tf.lite.TFLiteConverter.from_keras_model(source.held), source, precision, folder)


def _from_saved(source: "Source", precision: str, folder: Path) -> Path:
    import tensorflow as tf

    keys = [source.signature] if source.signature else None
    converter = tf.lite.TFLiteConverter.from_saved_model(source.path, signature_keys=keys)
    return _tensorflows(converter, source, precision, folder)


def _tensorflows(converter: Any, source: "Source", precision: str, folder: Path) -> Path:
    import tensorflow as tf

    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([one[name] for name in source.names] for one in source.samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    model = folder / "model.tflite"
    model.write_bytes(converter.convert())
    return model


def _from_onnx(source: "Source", precision: str, folder: Path) -> Path:
    """By the onnx2tf of another environment: it pins NumPy and TensorFlow to versions that nothing else here takes."""
    program = os.environ.get("ONNX2TF", "")
    if not program:
        raise SystemExit("onnx2tf is not installed: it needs an environment of its own (--onnx2tf PYTHON)")
    sample = "calibration_image_sample_data_20x128x128x3_float32.npy"  # else it downloads one
    np.save(folder / sample, np.zeros((20, 128, 128, 3), np.float32))
    shapes = [f"{name}:{','.join(map(str, source.samples[0][name].shape))}" for name in source.names]
    own = folder / "model.onnx"  # it writes a simplified one over the file that it is given
    shutil.copy(source.path, own)
    words = [program, "-m", "onnx2tf", "-i", str(own), "-o", str(folder / "tf"), "-kat", *source.names, "-ois"]
    words += [shape for shape in shapes if not shape.endswith(":")]
    if precision == "int8":
        words += ["-oiqt"]
        for place, name in enumerate(source.names):
            np.save(folder / f"in_{place}.npy", np.concatenate([one[name] for one in source.samples]))
            words += ["-cind", name, str(folder / f"in_{place}.npy"), "[0]", "[1]"]
    environment = {**os.environ, "PATH": f"{Path(program).parent}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    ends = {"fp32": "*_float32.tflite", "fp16": "*_float16.tflite", "int8": "*_integer_quant.tflite"}
    found = sorted((folder / "tf").glob(ends.get(precision, "*_dynamic_range_quant.tflite")))
    if not found:
        errors = re.findall(r"ERROR:.*|\w+Error:.*", done.stdout + done.stderr)
        raise SystemExit(f"onnx2tf: {errors[-1] if errors else 'it left no file'}")
    return found[0]


def _quantized(plain: Path, source: "Source", precision: str, folder: Path) -> Path:
    from ai_edge_quantizer import quantizer, recipe

    work = quantizer.Quantizer(str(plain))
    recipes = {"int8": recipe.static_wi8_ai8, "dynamic-int8": recipe.dynamic_wi8_afp32}
    if precision not in recipes:
        raise SystemExit(f"ai-edge-quantizer has no recipe for {precision}")
    work.load_quantization_recipe(recipes[precision]())
    ranges = None
    if work.need_calibration:
        key, runner = _signature(plain)
        order = _order(list(runner.get_input_details()), source)
        types = {name: item["dtype"] for name, item in runner.get_input_details().items()}
        samples = [{name: one[own].astype(types[name]) for name, own in order.items()} for one in source.samples]
        ranges = work.calibrate({key: samples})
    model = folder / "model.tflite"
    work.quantize(ranges).export_model(str(model))
    return model


def _signature(path: Path) -> tuple[str, Any]:
    interpreter, _ = signatures(path, "")
    key = next(iter(interpreter.get_signature_list()), "")
    return key, interpreter.get_signature_runner(key)


def signatures(path: Path, wanted: str) -> tuple[Any, Any]:
    """The file in LiteRT, and the runner of the signature that is wanted or its only one; None where there are none."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    keys = list(interpreter.get_signature_list())
    key = wanted if wanted in keys else next(iter(keys), None)
    return interpreter, interpreter.get_signature_runner(key) if key else None


def _order(names: list[str], source: "Source") -> dict[str, str]:
    """Which of the source's inputs each input of the file is: by name where they are the same, else by position."""
    if set(names) == set(source.names):
        return {name: name for name in names}
    return dict(zip(sorted(names), source.names, strict=True))


def opened(path: Path, source: "Source") -> "Callable[[Sample], list[Any]]":
    """Runs a file."""
    interpreter, runner = signatures(path, source.signature)
    if runner is None:
        return _bare(interpreter, source)
    details = runner.get_input_details()
    order = _order(list(details), source)

    outputs = runner.get_output_details()

    def run(sample: "Sample") -> list[Any]:
        given = {name: _narrow(sample[own], details[name]) for name, own in order.items()}
        return [_wide(value, outputs[name]) for name, value in sorted(runner(**given).items())]

    return run


def _narrow(value: Any, detail: Any) -> Any:
    """A value as the file takes it: quantized where the library made the inputs integers."""
    scale, zero = detail["quantization"]
    if value.dtype.kind == "f" and scale:
        limits = np.iinfo(detail["dtype"])
        value = np.clip(np.rint(value / scale) + zero, limits.min, limits.max)
    return np.asarray(value, detail["dtype"])


def _wide(value: Any, detail: Any) -> Any:
    scale, zero = detail["quantization"]
    return (np.array(value, np.float32) - zero) * scale if scale else np.array(value)


def _bare(interpreter: Any, source: "Source") -> "Callable[[Sample], list[Any]]":
    def run(sample: "Sample") -> list[Any]:
        for detail, name in zip(interpreter.get_input_details(), source.names, strict=True):
            interpreter.resize_tensor_input(detail["index"], sample[name].shape)
        interpreter.allocate_tensors()
        for detail, name in zip(interpreter.get_input_details(), source.names, strict=True):
            interpreter.set_tensor(detail["index"], _narrow(sample[name], detail))
        interpreter.invoke()
        return [_wide(interpreter.get_tensor(item["index"]), item) for item in interpreter.get_output_details()]

    return run


CALLS = {
    ("torch", "tflite"): _from_torch, ("tflite", "tflite"): _from_tflite, ("keras", "tflite"): _from_keras,
    ("savedmodel", "tflite"): _from_saved, ("onnx", "tflite"): _from_onnx,
}  # fmt: skip
