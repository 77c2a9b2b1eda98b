"""Weights as training scripts leave them: nested, prefixed by wrappers, saved on a GPU, as a pickle or safetensors.

What fits the module best is taken, and said. Pickles are loaded with PyTorch's `weights_only` unless the user trusts
the file.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.errors import UsageError
from edgekit.model import SourceModel

_NESTS: Final = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "model_state", "weights", "params",
    "ema", "ema_state_dict", "model_ema", "state_dict_ema", "params_ema", "ema_model",
)  # fmt: skip
"""Where training scripts put the weights inside a checkpoint; of two that fit alike the first is taken."""

_PREFIXES: Final = ("module.", "model.", "net.", "network.", "ema_model.", "backbone.")
"""What wrappers put before names: DataParallel, Lightning's module by its usual attributes."""

_COMPILED: Final = "_orig_mod."
"""What torch.compile puts into the names of whatever it compiled, be it a part of the model."""

_DEPTH: Final = 3
"""How many wrappers are looked through: a compiled network in DataParallel in a LightningModule."""

_NAMED: Final = 3
"""How many names a message lists."""

_COUNTERS: Final = "num_batches_tracked"
"""BatchNorm's counter, which inference never reads; checkpoints of old PyTorch lack it."""


class _Found(msgspec.Struct, frozen=True):
    """Weights in a checkpoint: where, without which prefix, and by the names that are left."""

    place: str
    prefix: str
    state: Mapping[str, Any]


def load_weights(module: Any, model: SourceModel) -> tuple[str, ...]:
    """Put a checkpoint's weights into a module; gives what a careful reader should know.

    Raises:
        UsageError: The file is damaged, would run code, lacks weights, or has them in another shape.
    """
    expected = {name: value for name, value in module.state_dict().items() if not name.endswith(_COUNTERS)}
    found = list(_candidates("", _read(model), _DEPTH))
    if not found:
        raise UsageError(f"{model.weights} holds no weights.", hint="Save them: torch.save(module.state_dict(), …).")
    best = max(found, key=lambda item: sum(name in item.state for name in expected))
    _check(best, expected, model)
    try:
        module.load_state_dict({name: best.state[name] for name in expected}, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{model.weights} does not fit {model.factory}: {reason}") from None
    return tuple(_notes(best, found, expected, Path(model.weights).name))


def _check(best: _Found, expected: Mapping[str, Any], model: SourceModel) -> None:
    missing = sorted(set(expected) - set(best.state))
    if missing:
        extra = _extra(best, expected)
        more = f" and has {_listed(extra)}, which the model has not" if extra else ""
        raise UsageError(
            f"{model.weights} does not fit {model.factory}: it lacks {_listed(missing)}{more}.",
            hint="Save the weights of this very module: torch.save(module.state_dict(), …).",
        )
    for name, wanted in expected.items():
        there, here = (getattr(value, "shape", None) for value in (best.state[name], wanted))
        if here is not None and there != here:
            raise UsageError(
                f"{model.weights} does not fit {model.factory}: {name!r} has shape {_shape(there)} in the checkpoint "
                f"and {_shape(here)} in the model.",
                hint="Build the model as it was trained: the same number of classes, the same widths.",
            )


def _candidates(place: str, value: Any, depth: int) -> Iterator[_Found]:
    """Everything in a checkpoint that may be weights, with every prefix that wrappers leave."""
    if callable(getattr(value, "state_dict", None)):  # a whole module, which only a trusted pickle can hold
        value = value.state_dict()
    if not isinstance(value, Mapping):
        return
    state = {name: item for name, item in value.items() if isinstance(name, str)}
    if any(hasattr(item, "shape") for item in state.values()):
        yield from _unwrapped(_Found(place, "", state), depth)
    if any(_COMPILED in name for name in state):
        plain = {name.replace(_COMPILED, ""): item for name, item in state.items()}
        yield from _unwrapped(_Found(place, _COMPILED, plain), depth)
    for nest in _NESTS if depth else ():
        yield from _candidates(".".join(filter(None, (place, nest))), state.get(nest), depth - 1)


def _unwrapped(found: _Found, depth: int) -> Iterator[_Found]:
    yield found
    for prefix in _PREFIXES if depth else ():
        inside = {name.removeprefix(prefix): item for name, item in found.state.items() if name.startswith(prefix)}
        if inside:
            outside = {name: item for name, item in found.state.items() if not name.startswith(prefix)}
            yield from _unwrapped(_Found(found.place, found.prefix + prefix, outside | inside), depth - 1)


def _notes(best: _Found, found: Sequence[_Found], expected: Mapping[str, Any], file: str) -> Iterator[str]:
    """Where the weights were, what stayed behind, and which half precision they were kept in."""
    if best.place:
        yield f"Weights: {best.place!r} of {file}."
    if best.prefix:
        yield f"Weights: names without their prefix {best.prefix!r}."
    others = {item.place for item in found if set(expected) <= set(item.state)} - {best.place}
    if others:
        yield f"Weights: {file} holds others that fit as well: {_listed(sorted(others))}."
    if extra := _extra(best, expected):
        yield f"Weights: {len(extra)} more in {file} than the model has: {_listed(extra)}."
    half = {str(best.state[name].dtype).removeprefix("torch.") for name in expected if _is_half(best.state[name])}
    if half:
        yield f"Weights: stored in {_listed(sorted(half))}, computed with in the model's own precision."


def _is_half(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) in {"torch.float16", "torch.bfloat16"}


def _extra(found: _Found, expected: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in set(found.state) - set(expected) if not name.endswith(_COUNTERS))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _shape(shape: Any) -> str:
    return "none" if shape is None else "x".join(map(str, shape)) or "of a scalar"


def _read(model: SourceModel) -> Any:
    if Path(model.weights).suffix == ".safetensors":
        return _read_safetensors(model.weights)
    import torch

    try:
        return torch.load(model.weights, map_location="cpu", weights_only=not model.trusted)
    except Exception as error:  # noqa: BLE001 - the unpickler raises what a broken file makes it raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            needs = re.search(r"GLOBAL ([\w.]+)", str(error))
            raise UsageError(
                f"{model.weights} is a pickle that would run code when it is loaded{_of(needs)}.",
                hint="If you made this file yourself, say so with --trust; better save the state_dict alone.",
            ) from None
        raise UsageError(f"{model.weights} is not a whole checkpoint: {reason}", hint="Save it again.") from None


def _of(found: "re.Match[str] | None") -> str:
    return f": it calls for {found[1]}" if found else ""


def _read_safetensors(path: str) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: Mapping[str, Any] = load_file(path, device="cpu")
    except (SafetensorError, ValueError, OSError) as error:
        raise UsageError(f"{path} is not a whole safetensors file: {error}.", hint="Save it again.") from None
    return state
