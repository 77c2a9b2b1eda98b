"""SavedModel in the versioned layout that TensorFlow Serving loads: `model/1/saved_model.pb`."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors

if TYPE_CHECKING:
    from edgekit_converters.sources.tensorflow_source import TensorflowSource

_VERSION: Final = "1"
"""The folder of the one version that an artifact holds; TensorFlow Serving serves the greatest number that it finds."""

_PLUMBING: Final = {"Placeholder", "Const", "Identity", "NoOp", "ReadVariableOp", "StatefulPartitionedCall"}
"""Operators that compute nothing."""


class _SavedModelConverter:
    name = "savedmodel"
    representation: Representation = "tensorflow"
    format: Format = "savedmodel"
    precisions: Sequence[Precision] = ("fp32",)

    def requires(self, precision: Precision) -> Sequence[Requirement]:  # noqa: ARG002 - there is one
        """TensorFlow alone."""
        return (Requirement(module="tensorflow", extra="tensorflow"),)

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:  # noqa: ARG002 - the protocol's
        """None that shows without TensorFlow."""
        return []

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],  # noqa: ARG002 - nothing is quantized
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Save one signature, its batch free where the source's is."""
        held = cast("TensorflowSource", source)
        folder = out / "model"
        with progress.step(f"{plan.label}: save"):
            function = held.with_free_batch()
            try:
                held.save(folder / _VERSION, function)
            except Exception as error:
                first = next(iter(str(error).splitlines()), type(error).__name__)
                raise ConversionError(f"TensorFlow cannot save this model: {first[:300]}") from error
        (folder / _VERSION / "fingerprint.pb").unlink(missing_ok=True)  # a random number, which nothing needs
        free = function is not held.function
        return Converted(
            model=folder,
            inputs=source.signature.inputs,
            outputs=source.signature.outputs,
            operators=_operators(function),
            quantized=None,
            packages=("tensorflow", "keras"),
            reproducible=False,  # variables lie in the order of objects in memory
            notes=(f"Signature serving_default, {'any batch' if free else 'the batch fixed as in the source'}.",),
        )


def _operators(function: Any) -> dict[str, int]:
    """Operators of the graph and of every function that it calls."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return dict(sorted(Counter(node.op for node in nodes if node.op not in _PLUMBING).items()))


CONVERTER: Converter = _SavedModelConverter()
