"""PyTorch exported programs: `.pt2`, written by `torch.export.save`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceKind, SourceModel, TensorSpec
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources.archives import program_objections, zip_objections
from edgekit_converters.sources.inputs import resolve_inputs


class _ExportedProgramReader:
    name = "exported-program"
    kinds: Sequence[SourceKind] = ("exported-program",)
    representation: Representation = "torch"
    requires: Sequence[Requirement] = (Requirement(module="torch", extra="torch"),)
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The archive must be whole, and must not run code unless it is trusted."""
        path = Path(model.path)
        broken = zip_objections(path, what="exported program")
        return broken or ([] if model.trusted else program_objections(path))

    def load(self, model: SourceModel) -> LoadedSource:
        """Open the program; inputs and outputs keep their names."""
        import torch

        from edgekit_converters.sources.torch_source import TorchSource

        try:
            program = torch.export.load(model.path)
            module = program.module()
        except Exception as error:
            raise ConversionError(
                f"torch.export.load cannot read {model.path}: {type(error).__name__}: {str(error).splitlines()[0]}",
                hint=f"It reads what torch {torch.__version__} and older wrote; export it again with this version.",
            ) from error
        known = _inputs(program)
        inputs = resolve_inputs([spec.name for spec in known], model.inputs, known)
        operators = Counter(str(n.target).split(".")[1] for n in program.graph.nodes if n.op == "call_function")
        return TorchSource(module, _caller(program), inputs, operators=dict(sorted(operators.items())))


def _inputs(program: Any) -> list[TensorSpec]:
    from edgekit_converters.sources.torch_source import tensor_spec

    wanted = program.graph_signature.user_inputs
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return [tensor_spec(name, list(values[name].shape), values[name].dtype) for name in wanted]


def _caller(program: Any) -> Any:
    """Calls a module with the nesting of arguments that it was exported with."""
    from torch.utils import _pytree as pytree

    names = program.graph_signature.user_inputs
    structure = program.call_spec.in_spec

    def call(module: Any, named: Mapping[str, Any]) -> Any:
        args, kwargs = pytree.tree_unflatten([named[name] for name in names], structure)
        return module(*args, **kwargs)

    return call


READER: SourceReader = _ExportedProgramReader()
