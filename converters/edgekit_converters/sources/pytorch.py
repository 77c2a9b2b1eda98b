"""PyTorch from code: `file.py:factory`, with the weights from a checkpoint. Naming your own file is the trust."""

import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgekit.errors import ConversionError, UsageError
from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit.suggest import did_you_mean
from edgekit_converters.sources.inputs import resolve_inputs

_NESTS: Final = ("state_dict", "model_state_dict", "model")
"""Where training scripts put the weights inside a checkpoint."""


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
        return []

    def load(self, model: SourceModel) -> LoadedSource:
        """Build the module and load its weights."""
        from edgekit_converters.sources.torch_source import TorchSource

        module = _build(model)
        if model.weights:
            _load_weights(module, model)
        module.eval()
        parameters = inspect.signature(module.forward).parameters.values()
        names = [item.name for item in parameters if item.default is item.empty and item.kind is not item.VAR_KEYWORD]
        inputs = resolve_inputs(names, model.inputs)
        return TorchSource(module, lambda built, named: built(**named), inputs)


def _build(model: SourceModel) -> Any:
    from torch import nn

    path = Path(model.path).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # noqa: S101 - a .py file always has a loader
    assert spec.loader is not None  # noqa: S101 - as above
    code = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = code
    try:
        spec.loader.exec_module(code)
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


def _load_weights(module: Any, model: SourceModel) -> None:
    state = _checkpoint(model)
    for nest in _NESTS:
        if isinstance(state.get(nest), Mapping):
            state = state[nest]
    expected = module.state_dict()
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or extra:
        found = [f"lacks {', '.join(missing[:3])}"] if missing else []
        found += [f"has {', '.join(extra[:3])}, which the model has not"] if extra else []
        raise UsageError(
            f"{model.weights} does not fit {model.factory}: it {' and '.join(found)}.",
            hint="Save the weights of this very module: torch.save(module.state_dict(), …).",
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{model.weights} does not fit {model.factory}: {reason}") from None


def _checkpoint(model: SourceModel) -> Mapping[str, Any]:
    import torch

    try:
        state = torch.load(model.weights, map_location="cpu", weights_only=not model.trusted)
    except Exception as error:  # noqa: BLE001 - the unpickler raises what a broken file makes it raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            raise UsageError(
                f"{model.weights} is a pickle that would run code when it is loaded.",
                hint="If you made this file yourself, say so with --trust; better save the state_dict alone.",
            ) from None
        raise UsageError(f"{model.weights} is not a whole checkpoint: {reason}", hint="Save it again.") from None
    if not isinstance(state, Mapping):
        raise UsageError(f"{model.weights} holds {type(state).__name__}, not a state_dict.")
    return state


READER: SourceReader = _PyTorchReader()
