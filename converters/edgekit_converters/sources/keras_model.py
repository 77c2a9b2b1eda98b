"""A Keras model, whatever backend runs it: load it, name its tensors, call it by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.errors import ConversionError, UsageError
from edgekit.model import SourceModel, TensorSpec
from edgekit_converters.sources.keras_legacy import can_be_legacy, load_legacy


def load_keras(model: SourceModel) -> Any:
    """Load the file with Keras, in safe mode unless it is trusted.

    Raises:
        UsageError: It would run code, or was never built.
        ConversionError: Keras cannot read it.
    """
    import keras

    try:
        loaded = keras.models.load_model(model.path, compile=False, safe_mode=not model.trusted)
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        if "Lambda" in str(error) and not model.trusted:
            raise UsageError(
                f"{model.path} holds a Lambda layer, which runs Python code of the file.",
                hint="If you made this file yourself, say so with --trust.",
            ) from None
        if can_be_legacy(model) and keras.backend.backend() == "tensorflow":
            return load_legacy(model)
        raise ConversionError(
            f"Keras {keras.__version__} cannot read {model.path}: {type(error).__name__}: {first[:300]}",
            hint="Save it again with Keras 3: model.save('model.keras'); TFLite and ONNX take files of Keras 2, with "
            "tf-keras installed.",
        ) from error
    if not getattr(loaded, "inputs", None):
        raise UsageError(f"{model.path} was saved before its input shape was known.", hint="Call the model, then save.")
    return loaded


def version_of(model: Any) -> str:
    """The version of the Keras that holds the model: of 3, or of 2."""
    import sys

    return str(sys.modules[type(model).__module__.partition(".")[0]].__version__)


def keras_inputs(model: Any) -> list[TensorSpec]:
    """The inputs by Keras' names; free dimensions are named `dim_N`, the batch `batch`."""
    return [_spec(tensor) for tensor in model.inputs]


def _spec(tensor: Any) -> TensorSpec:
    named = ("batch", *(f"dim_{place}" for place in range(1, len(tensor.shape))))
    shape = tuple(name if dim is None else int(dim) for name, dim in zip(named, tensor.shape, strict=True))
    layout = "NHWC" if len(shape) == 4 else ""  # noqa: PLR2004 - batch, height, width, channels
    dtype = getattr(tensor.dtype, "name", tensor.dtype)  # a string, or, of Keras 2, TensorFlow's own
    return TensorSpec(name=tensor.name, shape=shape, dtype=str(dtype), layout=layout)


def keras_outputs(model: Any) -> list[str]:
    """The outputs' names: their keys where they are a dict, else the layers that give them, made unique."""
    struct = getattr(model, "_outputs_struct", None)
    if isinstance(struct, dict):
        return list(struct)  # in the dict's own order, where `output_names` is sorted
    names = list(getattr(model, "output_names", None) or [f"output_{place}" for place in range(len(model.outputs))])
    return [name if names.count(name) == 1 else f"{name}_{place}" for place, name in enumerate(names)]


def keras_call(model: Any, named: Mapping[str, Any]) -> Sequence[Any]:
    """Run the model for inference; outputs in the order of `keras_outputs`."""
    values = [named[tensor.name] for tensor in model.inputs]
    structure = getattr(model, "_inputs_struct", None)
    given: Any = values[0] if len(values) == 1 else values
    if isinstance(structure, dict):
        given = {key: named[tensor.name] for key, tensor in structure.items()}
    result = model(given, training=False)
    if isinstance(result, Mapping):
        return [result[name] for name in keras_outputs(model)]
    return result if isinstance(result, list | tuple) else [result]


def keras_layers(model: Any) -> dict[str, int]:
    """The layers by class name."""
    layers = (type(layer).__name__ for layer in model._flatten_layers(include_self=False))  # noqa: SLF001 - no other way
    return dict(sorted(Counter(name for name in layers if name != "InputLayer").items()))
