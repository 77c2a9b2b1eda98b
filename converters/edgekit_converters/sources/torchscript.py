"""TorchScript archives, written by `torch.jit.save`. The loader runs no Python of the file."""

import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources.archives import zip_objections
from edgekit_converters.sources.inputs import resolve_inputs


class _TorchScriptReader:
    name = "torchscript"
    kinds: Sequence[SourceKind] = ("torchscript",)
    representation: Representation = "torch"
    requires: Sequence[Requirement] = (Requirement(module="torch", extra="torch"),)
    environment: Mapping[str, str] = {}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The archive must be whole, and TorchScript rather than a pickled module."""
        path = Path(model.path)
        broken = zip_objections(path, what="TorchScript archive")
        if broken:
            return broken
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                return []
        return [
            Objection(
                cause=f"{path} is a pickle, not TorchScript: a state_dict, or a module that would run code.",
                hint=f"Give the code that builds the model: edgekit convert net.py:make_net --weights {path.name} …",
            )
        ]

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
