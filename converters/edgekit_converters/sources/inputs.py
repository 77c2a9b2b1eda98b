"""The shapes of a model's inputs, from what the user gave and what the file knows."""

from collections.abc import Sequence

from edgekit.errors import UsageError
from edgekit.model import BATCH, TensorSpec
from edgekit.suggest import did_you_mean


def resolve_inputs(
    names: Sequence[str], given: Sequence[TensorSpec], known: Sequence[TensorSpec] = ()
) -> list[TensorSpec]:
    """The inputs, in the order of `names`, from what the user gave and what the file knows.

    A given spec without a name stands for the input at its position.

    Raises:
        UsageError: A given name does not exist, or an input's shape is known to nobody.
    """
    by_name = {spec.name: spec for spec in known}
    for place, spec in enumerate(given):
        if not spec.name and place >= len(names):
            raise UsageError(f"The model has {len(names)} inputs; {len(given)} were given.")
        name = spec.name or names[place]
        if name not in names:
            raise UsageError(f"The model has no input {name!r}.", hint=did_you_mean(name, names, "inputs"))
        by_name[name] = TensorSpec(name=name, shape=spec.shape, dtype=spec.dtype, layout=spec.layout)
    missing = [name for name in names if name not in by_name]
    if missing:
        raise UsageError(
            f"The shape of input {missing[0]!r} is not known.",
            hint=f"Give it: --input {missing[0]}=1x3x224x224:float32 (or calibration data, which tells it too).",
        )
    return [_fixed(by_name[name]) for name in names]


def free_batch(known: Sequence[TensorSpec]) -> bool:
    """Whether the model takes any batch: the first axis of every input is free."""
    return bool(known) and all(spec.shape and isinstance(spec.shape[0], str) for spec in known)


def _fixed(spec: TensorSpec) -> TensorSpec:
    """The same with a free batch dimension fixed; another free dimension is the user's to choose."""
    shape = tuple(BATCH if place == 0 and isinstance(dim, str) else dim for place, dim in enumerate(spec.shape))
    free = [dim for dim in shape if isinstance(dim, str)]
    if free:
        raise UsageError(
            f"Input {spec.name!r} has the free dimension {free[0]!r}.",
            hint=f"Fix it: --input {spec.name}={'x'.join(str(d) if isinstance(d, int) else '128' for d in shape)}",
        )
    return TensorSpec(name=spec.name, shape=shape, dtype=spec.dtype, layout=spec.layout)
