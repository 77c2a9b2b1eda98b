"""Models and arrays that live in the caller's process, as files that a worker can open.

A PyTorch module becomes an exported program, a Keras model a `.keras` file: from there on they go the way of any
other source, isolated and cached by content.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgekit.errors import ConversionError, UsageError
from edgekit.model import SourceModel
from edgekit.source import open_source


def save_model(model: Any, example_inputs: Any, folder: Path) -> SourceModel:
    """Store a live model in `folder`.

    Args:
        model: A `torch.nn.Module` or a Keras model.
        example_inputs: For PyTorch: a tensor, a sequence of tensors, or a mapping of argument names to tensors.
        folder: An empty folder.

    Raises:
        UsageError: The model is of no kind that edgekit reads, or example inputs are missing.
        ConversionError: torch.export cannot trace it.
    """
    kinds = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(model).__mro__}
    if "keras.Model" in kinds:
        return _save_keras(model, folder)
    if "torch.ScriptModule" in kinds or "torch.RecursiveScriptModule" in kinds:
        raise UsageError("Live TorchScript is not accepted.", hint="Save it: torch.jit.save(model, 'model.pt').")
    if "torch.Module" in kinds:
        return _export_torch(model, example_inputs, folder)
    raise UsageError(
        f"{type(model).__name__} is no model that edgekit reads.",
        hint="Give a torch.nn.Module, a Keras model, or the path of a stored one.",
    )


def _save_keras(model: Any, folder: Path) -> SourceModel:
    path = folder / f"{model.name}.keras"
    model.save(path)
    return open_source(str(path))


def _export_torch(model: Any, example_inputs: Any, folder: Path) -> SourceModel:
    if example_inputs is None:
        raise UsageError("A PyTorch module needs example inputs.", hint="edgekit.convert(model, example_inputs=x, …)")
    import torch

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(example_inputs, Mapping):
        kwargs = dict(example_inputs)
    else:
        args = tuple(example_inputs) if isinstance(example_inputs, list | tuple) else (example_inputs,)
    training = model.training
    try:
        program = torch.export.export(model.eval(), args, kwargs)
    except Exception as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConversionError(
            f"torch.export cannot trace {type(model).__name__}: {first[:300]}",
            hint="Save the module with torch.jit.script and convert that file to TorchScript.",
        ) from error
    finally:
        model.train(training)
    path = folder / f"{type(model).__name__.lower()}.pt2"
    torch.export.save(program, path)
    return open_source(str(path))


def save_data(data: Any, folder: Path, what: str) -> str:
    """Store calibration or evaluation data; a path stays one.

    Args:
        data: A path, an array (first axis the sample), a mapping of input names to arrays, a sequence of samples, or
            a function or iterator that yields samples, which are written one by one.
        folder: An empty folder.
        what: `calibration` or `evaluation`.

    Raises:
        UsageError: It is none of these.
    """
    if data is None:
        return ""
    if isinstance(data, str | Path):
        return str(data)
    if callable(data) or isinstance(data, Iterator):
        return _save_each(data() if callable(data) else data, folder / what, what)
    path = folder / f"{what}.npz"
    if isinstance(data, Mapping):
        arrays = {str(name): np.asarray(value) for name, value in data.items()}
    else:
        arrays = {"data": np.asarray(data)} if _is_array(data) else _stacked(data)
    if any(array.dtype == object for array in arrays.values()):
        raise UsageError(f"The {what} data are not arrays of one shape.", hint="Give an array, first axis the sample.")
    np.savez(path, **cast("Any", arrays))
    return str(path)


def _save_each(samples: Iterable[Any], folder: Path, what: str) -> str:
    """Store samples as they come, a file each."""
    folder.mkdir()
    for place, sample in enumerate(samples):
        items = sample if isinstance(sample, Mapping) else {"data": sample}
        arrays = {str(name): np.atleast_1d(np.asarray(value)) for name, value in items.items()}
        if any(array.dtype.hasobject for array in arrays.values()):
            raise UsageError(f"Sample {place} of the {what} data holds no numbers.", hint="Yield arrays, or dicts.")
        np.savez(folder / f"{place:08d}.npz", **cast("Any", arrays))
    return str(folder)


def _is_array(data: Any) -> bool:
    return hasattr(data, "__array__") or hasattr(data, "shape")


def _stacked(samples: Sequence[Any]) -> dict[str, Any]:
    """A sequence of samples, each an array or a mapping, as arrays whose first axis is the sample."""
    items = list(samples)
    try:
        if items and isinstance(items[0], Mapping):
            return {str(name): np.stack([np.asarray(item[name]) for item in items]) for name in items[0]}
        return {"data": np.stack([np.asarray(item) for item in items])}
    except (ValueError, KeyError) as error:
        raise UsageError(f"The samples do not fit together: {error}.", hint="Give samples of one shape.") from None
