"""TorchScript archives, written by `torch.jit.save`. The loader runs no Python of the file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources.archives import script_objections, zip_objections
from edgekit_converters.sources.inputs import resolve_inputs


class _TorchScriptReader:
    name = "torchscript"
    kinds: Sequence[SourceKind] = ("torchscript",)
    representation: Representation = "torch"
    requires: Sequence[Requirement] = (Requirement(module="torch", extra="torch"),)
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The archive must be whole, TorchScript rather than a pickled module, and touch no files unless trusted."""
        path = Path(model.path)
        broken = zip_objections(path, what="TorchScript archive")
        return broken or ([] if model.trusted else script_objections(path))

    def load(self, model: SourceModel) -> LoadedSource:
        """Open the archive; inputs keep the names of `forward`."""
        import torch

        from edgekit_converters.sources.torch_source import TorchSource

        try:
            module: Any = torch.jit.load(model.path, map_location="cpu").eval()
        except RuntimeError as error:
            raise ConversionError(
                f"torch.jit.load cannot read {model.path}: {str(error).splitlines()[0]}",
                hint="Save it again with torch.jit.save.",
            ) from error
        names = [argument.name for argument in module.forward.schema.arguments[1:] if not argument.has_default_value()]
        inputs = resolve_inputs(names, model.inputs)
        kinds = Counter(n.kind() for n in module.inlined_graph.nodes() if not n.kind().startswith("prim::"))
        operators = {kind.removeprefix("aten::"): count for kind, count in sorted(kinds.items())}
        return TorchSource(module, lambda script, named: script(**named), inputs, operators=operators, scripted=True)


READER: SourceReader = _TorchScriptReader()
