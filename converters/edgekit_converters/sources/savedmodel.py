"""TensorFlow SavedModel folders, through the signature that serving uses."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgekit.errors import ConversionError, UsageError
from edgekit.model import Representation, SourceKind, SourceModel, TensorSpec
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources.inputs import free_batch, resolve_inputs

_SIGNATURE: Final = "serving_default"

_FILE_OPERATORS: Final = {"ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless"}
"""Operators that touch files or call Python when the graph runs; a model for a device has no use for them."""


class _SavedModelReader:
    name = "savedmodel"
    kinds: Sequence[SourceKind] = ("savedmodel",)
    representation: Representation = "tensorflow"
    requires: Sequence[Requirement] = (Requirement(module="tensorflow", extra="tensorflow"),)
    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """The graph must not be empty; one with file operators must be trusted."""
        graph = Path(model.path, "saved_model.pb").read_bytes()
        if not graph:
            return [Objection(cause=f"{model.path}/saved_model.pb is empty.", hint="Save the model again.")]
        found = sorted(name for name in _FILE_OPERATORS if name.encode() in graph)
        if found and not model.trusted:
            cause = f"{model.path} has operators that touch files or call Python: {', '.join(found)}."
            return [Objection(cause=cause, hint="If you made this model yourself, say so with --trust.")]
        return []

    def load(self, model: SourceModel) -> LoadedSource:
        """Load the signature; inputs and outputs keep its names."""
        import tensorflow as tf

        from edgekit_converters.sources.old_optimizers import know_old_optimizers
        from edgekit_converters.sources.tensorflow_source import TensorflowSource

        know_old_optimizers()
        try:
            loaded = tf.saved_model.load(model.path)
        except Exception as error:
            first = next(iter(str(error).splitlines()), "")
            raise ConversionError(
                f"TensorFlow {tf.__version__} cannot read {model.path}: {type(error).__name__}: {first[:300]}",
                hint="Save the model again with this version of TensorFlow.",
            ) from error
        signature = _signature(loaded, model)
        known = _inputs(signature)
        operators = Counter(operation.type for operation in signature.graph.get_operations())
        return TensorflowSource(
            loaded,
            lambda named: _in_order(signature(**named)),
            resolve_inputs([spec.name for spec in known], model.inputs, known),
            framework=f"tensorflow {tf.__version__}",
            parameters=sum(int(variable.shape.num_elements()) for variable in signature.variables),
            operators=dict(sorted(operators.items())),
            free_batch=free_batch(known),
        )


def _signature(loaded: Any, model: SourceModel) -> Any:
    signatures = dict(loaded.signatures)
    wanted = model.signature or _SIGNATURE
    if wanted in signatures:
        return signatures[wanted]
    if len(signatures) == 1 and not model.signature:
        return next(iter(signatures.values()))
    first = next(iter(sorted(signatures)), "")
    raise UsageError(
        f"{model.path} has no signature {wanted!r}; it has {', '.join(sorted(signatures)) or 'none'}.",
        hint=f"Name one of them: --signature {first}"
        if first
        else "Save it with one: model.export(folder) in Keras, tf.saved_model.save(…, signatures=…) in TensorFlow.",
    )


def _in_order(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs by name, `output_10` behind `output_9`: the file keeps a map, whose order is another in each process."""
    parts = {name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)] for name in outputs}
    return {name: outputs[name] for name in sorted(outputs, key=parts.__getitem__)}


def _inputs(signature: Any) -> list[TensorSpec]:
    specs: Mapping[str, Any] = signature.structured_input_signature[1]
    return [_spec(name, spec) for name, spec in specs.items()]


def _spec(name: str, spec: Any) -> TensorSpec:
    named = ("batch", *(f"dim_{place}" for place in range(1, len(spec.shape))))
    shape = tuple(name if dim is None else int(dim) for name, dim in zip(named, spec.shape, strict=False))
    return TensorSpec(name=name, shape=shape, dtype=spec.dtype.name)


READER: SourceReader = _SavedModelReader()
