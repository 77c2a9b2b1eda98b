"""PyTorch to a float ONNX model, by the exporter that keeps the model's meaning.

`torch.onnx.export` has two. The newer one translates an exported program, in which no data-dependent branch can have
been traced away, and folds batch normalization. The older one traces, or translates TorchScript with its branches and
loops. Measured (torch 2.13, ONNX Runtime 1.32, CNN, LSTM, GRU, transformer): parity of both is the same (126 to 172
dB), so is latency where constants are few (CNN .35 ms), and the newer one's graphs are smaller (transformer 81 nodes
for 173) and faster where they are many (.06 ms for .08); it takes 1 to 3 s, the older one 0.2. So exported programs
take the newer one; TorchScript, which has no exported program of its own, the older one; and each stands in where the
other knows an operator not.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edgekit.errors import ConversionError
from edgekit_converters.formats.onnx_file import constants_to_initializers, finish, graphs, name_borders
from edgekit_converters.formats.torch_program import exported_program

if TYPE_CHECKING:
    from edgekit_converters.sources.torch_source import TorchSource

_OPSET: Final = 18
"""The version in which the newer exporter is written: nothing needs converting, and ONNX Runtime 1.14 runs it."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A float model.

    Attributes:
        content: The file's bytes.
        outputs: What the file calls the outputs, in the signature's order.
        notes: For the manifest.
        branches: Whether it has branches or loops.
    """

    content: bytes
    outputs: tuple[str, ...]
    notes: tuple[str, ...]
    branches: bool


@lru_cache(maxsize=2)
def export_onnx(source: "TorchSource", *, branches: bool = True) -> Exported:
    """Export a source once for all precisions.

    Args:
        source: What to export.
        branches: Whether TorchScript may keep its branches as `If`, whose weights no quantizer looks at.

    Raises:
        ConversionError: Neither exporter can; names the operator where one is to blame.
    """
    from edgekit_converters.torch_graph.branches import branch_notes

    model, notes = _first((_SCRIPTED if branches else _SELECTED) if source.scripted else _PLAIN, source)
    signature = source.signature
    constants_to_initializers(model.graph)
    names = [spec.name for spec in signature.inputs]
    outputs = name_borders(model, names, [spec.name for spec in signature.outputs])
    inner = len(list(graphs(model.graph))) > 1
    notes = notes if inner or not source.scripted else (*notes, *branch_notes(source.selected))
    return Exported(content=_finished(model), outputs=outputs, notes=notes, branches=inner)


def _first(ways: Mapping[str, Callable[["TorchSource"], Any]], source: "TorchSource") -> tuple[Any, tuple[str, ...]]:
    """What the first way gives that can, and a note for each that cannot."""
    reasons: dict[str, str] = {}
    for name, way in ways.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # both exporters warn of themselves
                model = way(source)
        except ConversionError as error:
            if not source.scripted:
                raise
            reasons[name] = error.cause
        except Exception as error:  # noqa: BLE001 - exporters raise what they like
            reasons[name] = _reason(error)
        else:
            return model, tuple(f"The exporter of {other} left out: {reason}" for other, reason in reasons.items())
    raise ConversionError(
        f"torch.onnx cannot export this model: {'; '.join(dict.fromkeys(reasons.values()))}",
        hint="Replace that part of the model by operators that ONNX has; TorchScript may take the model as it is.",
    )


def _program(source: "TorchSource") -> Any:
    import torch

    program = exported_program(source)
    made = torch.onnx.export(
        program,
        (),
        dynamo=True,
        opset_version=_OPSET,
        verbose=False,
        input_names=_numbered("in", source.signature.inputs),
        output_names=_numbered("out", source.signature.outputs),
    )
    return made.model_proto


def _traced(source: "TorchSource") -> Any:
    """By a trace, which loses nothing: what has an exported program has no data-dependent branch."""
    return _by_torchscript(source, source.flat())


def _scripted(source: "TorchSource") -> Any:
    return _by_torchscript(source, source.module)


_PLAIN: Final = {"exported programs": _program, "traces": _traced}
_SCRIPTED: Final = {"TorchScript": _scripted, "exported programs": _program}
_SELECTED: Final = {"exported programs": _program, "TorchScript": _scripted}


def _by_torchscript(source: "TorchSource", module: Any) -> Any:
    import onnx
    import torch

    content = io.BytesIO()
    torch.onnx.export(
        module,
        source.example,
        content,
        dynamo=False,
        opset_version=_OPSET,
        input_names=_numbered("in", source.signature.inputs),
        output_names=_numbered("out", source.signature.outputs),
    )
    model = onnx.load_from_string(content.getvalue())
    if len(model.graph.output) != len(source.signature.outputs):
        raise ValueError("the number of outputs is not the source's")
    return model


def _numbered(role: str, specs: Sequence[Any]) -> list[str]:
    """Names that no value inside has: where an input and an output share theirs, the exporter would mix them up."""
    return [f"edgekit_{role}_{place}" for place in range(len(specs))]


def _finished(model: Any) -> bytes:
    try:
        return finish(model)
    except ValueError as error:
        raise ConversionError(
            "The model is larger than 2 GB, more than an ONNX file can hold.", hint="Use a smaller model."
        ) from error


def _reason(error: Exception) -> str:
    """The operator that an exporter does not know, else the error's first line."""
    text = str(error)
    named = re.search(r"No ONNX function found for <OpOverload\(op='([\w.:]+)'", text) or re.search(
        r"operator '([\w:.]+)' to ONNX", text
    )
    if named:
        return f"operator {named[1]} has no ONNX counterpart"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
