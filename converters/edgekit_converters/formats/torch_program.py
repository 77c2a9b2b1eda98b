"""A PyTorch source as an exported program, which no trace has taken a branch away from."""

from typing import TYPE_CHECKING, Any

from edgekit.errors import ConversionError

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource


def exported_program(source: "TorchSource") -> Any:
    """The exported program; a model of Keras first as a plain graph, without the permutes around each convolution.

    Raises:
        ConversionError: torch.export cannot take the model.
    """
    import torch

    try:
        program = source.exported()
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        advice = "Take data-dependent control flow out of forward"
        more = "." if source.scripted else ", or give it as TorchScript: torch.jit.script keeps branches."
        raise ConversionError(
            f"torch.export cannot take this model, and a trace might lose a part of it: "
            f"{type(error).__name__}: {first[:300]}",
            hint=advice + more,
        ) from error
    if source.plain:
        return program
    from edgekit_converters.torch_graph import plain_graph

    return torch.export.export(plain_graph(program, source.example), source.example)
