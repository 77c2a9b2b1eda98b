"""Keras files on Keras' TensorFlow backend."""

from collections.abc import Mapping, Sequence

from edgekit.model import Representation, SourceKind, SourceModel
from edgekit.plan import Objection
from edgekit.protocols import LoadedSource, Requirement, SourceReader
from edgekit_converters.sources.inputs import free_batch, resolve_inputs
from edgekit_converters.sources.keras_archive import keras_objections


class _KerasTensorflowReader:
    name = "keras-tensorflow"
    kinds: Sequence[SourceKind] = ("keras",)
    representation: Representation = "tensorflow"
    requires: Sequence[Requirement] = (Requirement(module="tensorflow", extra="tensorflow"),)
    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}

    def objections(self, model: SourceModel) -> Sequence[Objection]:
        """See `keras_objections`."""
        return keras_objections(model)

    def load(self, model: SourceModel) -> LoadedSource:
        """Load it with Keras; inputs and outputs keep Keras' names."""
        import tensorflow as tf

        from edgekit_converters.sources import keras_model
        from edgekit_converters.sources.tensorflow_source import TensorflowSource

        loaded = keras_model.load_keras(model)
        known = keras_model.keras_inputs(loaded)
        names = keras_model.keras_outputs(loaded)
        return TensorflowSource(
            None,
            lambda named: dict(zip(names, keras_model.keras_call(loaded, named), strict=True)),
            resolve_inputs([spec.name for spec in known], model.inputs, known),
            framework=f"keras {keras_model.version_of(loaded)} on tensorflow {tf.__version__}",
            parameters=int(loaded.count_params()),
            operators=keras_model.keras_layers(loaded),
            free_batch=free_batch(known),
        )


READER: SourceReader = _KerasTensorflowReader()
