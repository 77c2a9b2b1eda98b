"""Files of Keras 2 (`.h5`) that Keras 3 refuses, by `tf_keras`, which is Keras 2 on today's TensorFlow.

Keras 2 has no safe mode for `.h5`: it runs the code of Lambda layers and imports what a file names. So the file's
configuration is read first, and anything but Keras' own layers by name is refused unless it is trusted.
"""

import importlib.util
import json
import os
from collections.abc import Iterator
from typing import Any, Final

from edgekit.errors import ConversionError, UsageError
from edgekit.model import SourceModel

_OWN: Final = ("keras", "tf_keras")
"""Modules that a configuration may name."""


def can_be_legacy(model: SourceModel) -> bool:
    """Whether Keras 2 may know the file, and is installed."""
    return model.path.endswith((".h5", ".hdf5")) and importlib.util.find_spec("tf_keras") is not None


def load_legacy(model: SourceModel) -> Any:
    """Load it.

    Raises:
        UsageError: It is cut or no model, or it would run code.
        ConversionError: Keras 2 cannot read it either.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # before TensorFlow looks which Keras is meant
    reason = "" if model.trusted else next(_reasons(_configuration(model.path)), "")
    if reason:
        raise UsageError(
            f"{model.path} would run code when Keras 2 loads it: {reason}.",
            hint="If you made this file yourself, say so with --trust.",
        )
    import tf_keras

    try:
        return tf_keras.models.load_model(model.path, compile=False)
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConversionError(
            f"Neither Keras 3 nor Keras 2 (tf_keras {tf_keras.__version__}) can read {model.path}: {first[:300]}",
            hint="Save it again with Keras 3: model.save('model.keras').",
        ) from error


def _configuration(path: str) -> Any:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return json.loads(file.attrs.get("model_config", "{}"))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="Save or download it again.") from error


def _reasons(config: Any) -> Iterator[str]:
    """What in a configuration is more than a layer of Keras' own."""
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            kind, module = str(item.get("class_name", "")), item.get("module")
            if "lambda" in kind.lower():
                yield f"a layer {kind}"
            if module is not None and str(module).partition(".")[0] not in _OWN:
                yield f"it names the module {module!r}"
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
