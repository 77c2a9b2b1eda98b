"""Keras files on Keras' PyTorch backend: a Keras model becomes a `torch.nn.Module`, without TensorFlow."""

from collections.abc import Mapping, Sequence

from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources.inputs import resolve_inputs
from edgekit_converters.sources.keras_archive import keras_objections


class _KerasTorchReader:
    name = "keras-torch"
    kinds: Sequence[SourceKind] = ("keras",)
    representation: Representation = "torch"
    requires: Sequence[Requirement] = (
        Requirement(module="keras", extra="keras"),
        Requirement(module="torch", extra="torch"),
    )
    environment: Mapping[str, str] = {"KERAS_BACKEND": "torch"}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """See `keras_objections`."""
        return keras_objections(model)

    def load(self, model: SourceModel) -> LoadedSource:
        """Load it as a module; outputs keep Keras' names."""
        import keras
        import torch

        from edgekit_converters.sources import keras_model
        from edgekit_converters.sources.torch_source import TorchSource

        loaded = keras_model.load_keras(model).eval()
        known = keras_model.keras_inputs(loaded)
        return TorchSource(
            loaded,
            keras_model.keras_call,
            resolve_inputs([spec.name for spec in known], model.inputs, known),
            operators=keras_model.keras_layers(loaded),
            framework=f"keras {keras.__version__} on torch {torch.__version__}",
            output_names=keras_model.keras_outputs(loaded),
            plain=False,
        )


READER: SourceReader = _KerasTorchReader()
