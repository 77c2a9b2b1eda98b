"""A .pte file: what its delegates took when it was made, and what is left to portable kernels."""

from collections import Counter
from pathlib import Path

from edgekit.artifact import Artifact
from edgekit.placement import Fallback, Placement

_MOVERS = {"_clone_dim_order", "_empty_dim_order", "_to_dim_order_copy", "view_copy"}
"""Operators that only bring tensors into place."""


def look(artifact: Artifact) -> Placement:
    """See `edgekit.placement.Placer`; the file does not say which layers its kernels belong to."""
    from executorch.exir._serialize._program import deserialize_pte_binary
    from executorch.exir.schema import DelegateCall, KernelCall

    read = deserialize_pte_binary(artifact.model.read_bytes())
    plan = getattr(read, "program", read).execution_plan[0]
    calls = [item.instr_args for chain in plan.chains for item in chain.instructions]
    delegated = sum(isinstance(call, DelegateCall) for call in calls)
    kernels = Counter(
        plan.operators[call.op_index].name.partition("::")[2] or plan.operators[call.op_index].name
        for call in calls
        if isinstance(call, KernelCall)
    )
    engines = dict.fromkeys(item.id.removesuffix("Backend") for item in plan.delegates)
    buffers = [int(size) for size in plan.non_const_buffer_sizes]
    return Placement(
        engine=" and ".join(name.upper() for name in engines),
        operators=delegated + sum(kernels.values()),
        taken=delegated,
        unit="calls",
        fallbacks=tuple(
            Fallback(operator=name, layers=(), why=f"portable kernel, {count} times")
            for name, count in sorted(kernels.items())
            if name not in _MOVERS
        ),
        activation_bytes=sum(buffers) or None,
    )


def users(model: Path, operator: str) -> tuple[str, ...]:  # noqa: ARG001 - as the others
    """The file does not say."""
    return ()
