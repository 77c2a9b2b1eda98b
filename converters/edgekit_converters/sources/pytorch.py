"""PyTorch from code: `file.py:factory`, with the weights from a checkpoint. Naming your own file is the trust."""

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgekit.errors import ConversionError, UsageError
from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit.suggest import did_you_mean
from edgekit.user_code import import_file
from edgekit_converters.sources.checkpoint import load_weights
from edgekit_converters.sources.inputs import resolve_inputs

_SAFETENSORS: Final = "pip install safetensors"


class _PyTorchReader:
    name = "pytorch"
    kinds: Sequence[SourceKind] = ("pytorch",)
    representation: Representation = "torch"
    requires: Sequence[Requirement] = (Requirement(module="torch", extra="torch"),)
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The factory's file must be Python, the checkpoint must be there."""
        try:
            compile(Path(model.path).read_bytes(), model.path, "exec")
        except (SyntaxError, ValueError) as error:
            return [Objection(cause=f"{model.path} is not Python: {error}.")]
        if model.weights and not Path(model.weights).is_file():
            return [Objection(cause=f"There is no checkpoint at {model.weights}.")]
        if Path(model.weights).suffix == ".safetensors" and importlib.util.find_spec("safetensors") is None:
            return [Objection(cause=f"{model.weights} needs safetensors, not installed here.", hint=_SAFETENSORS)]
        return []

    def load(self, model: SourceModel) -> LoadedSource:
        """Build the module and load its weights."""
        from edgekit_converters.sources.torch_source import TorchSource

        module = _build(model)
        notes = load_weights(module, model) if model.weights else ()
        module.eval()
        parameters = inspect.signature(module.forward).parameters.values()
        names = [item.name for item in parameters if item.default is item.empty and item.kind is not item.VAR_KEYWORD]
        inputs = resolve_inputs(names, model.inputs)
        return TorchSource(module, lambda built, named: built(**named), inputs, notes=notes)


def _build(model: SourceModel) -> Any:
    from torch import nn

    path = Path(model.path)
    try:
        code = import_file(path)
        factory = getattr(code, model.factory, None)
        built = factory() if callable(factory) and not isinstance(factory, nn.Module) else factory
    except Exception as error:
        raise ConversionError(
            f"{path.name}:{model.factory} failed: {type(error).__name__}: {error}.",
            hint="It must build the module when it is called without arguments.",
        ) from error
    if isinstance(built, nn.Module):
        return built
    if factory is None:
        known = [name for name, value in vars(code).items() if callable(value) and not name.startswith("_")]
        hint = did_you_mean(model.factory, known, "callables")
        raise UsageError(f"{path.name} has no {model.factory!r}.", hint=hint)
    raise UsageError(f"{path.name}:{model.factory} gives {type(built).__name__}, not a torch.nn.Module.")


READER: SourceReader = _PyTorchReader()
