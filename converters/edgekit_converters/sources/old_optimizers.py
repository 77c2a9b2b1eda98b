"""Optimizers in SavedModels that Keras 2 wrote.

TensorFlow restores their slots (momentum, …) by a class that Keras 3 no longer registers, and stops. A model for a
device has no use for them, so that a class which holds them does.
"""

from functools import cache
from typing import Any


@cache
def know_old_optimizers() -> None:
    """Let TensorFlow revive them, unless Keras 2 (`tf_keras`) has told it how, once."""
    import tensorflow as tf
    from tensorflow.python.saved_model import revived_types
    from tensorflow.python.trackable import autotrackable

    class Optimizer(autotrackable.AutoTrackable):  # type: ignore[misc]  # tensorflow is not type-checked here
        """Holds an optimizer's slots, and does nothing with them."""

        def add_slot(self, var: Any, slot_name: str, initializer: Any = None, shape: Any = None) -> Any:  # noqa: ARG002 - TensorFlow's own
            """A variable for one slot of one weight."""
            return tf.Variable(tf.zeros(var.shape if shape is None else shape, var.dtype), trainable=False)

    if "optimizer" in revived_types.registered_identifiers():
        return
    registration = revived_types.VersionedTypeRegistration(
        object_factory=lambda _: Optimizer(), version=2, min_producer_version=1, min_consumer_version=1,
        setter=setattr,
    )  # fmt: skip
    revived_types.register_revived_type("optimizer", lambda held: isinstance(held, Optimizer), [registration])
