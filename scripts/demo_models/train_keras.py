"""Train the digits network in Keras: what a Keras user has.

`digits.keras`, a calibration and an evaluation set (N, 8, 8, 1). The architecture is that of `digits_net.py`.
"""

from pathlib import Path
from typing import Any, Final

import keras
import tensorflow as tf
from digits_data import SEED, load, write_sets
from keras import layers

EPOCHS: Final = 20
BATCH: Final = 64


def _block(tensor: Any, channels: int) -> Any:
    convolved = layers.Conv2D(channels, 3, padding="same")(tensor)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(convolved))


def build() -> Any:
    """The network: logits (N, 10) of images (N, 8, 8, 1) with values 0 to 1."""
    image = keras.Input((8, 8, 1), name="image")
    features = _block(_block(image, 16), 32)
    features = _block(layers.MaxPooling2D()(features), 64)
    features = layers.Flatten()(layers.MaxPooling2D()(features))
    return keras.Model(image, layers.Dense(10, name="logits")(features), name="digits")


def train(out: Path) -> float:
    """Train, write everything into `out`, give the held-out accuracy."""
    keras.utils.set_random_seed(SEED)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    digits, net = load(), build()
    steps = EPOCHS * (len(digits.train) // BATCH + 1)
    net.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    net.fit(digits.train[..., None], digits.train_labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    accuracy = net.evaluate(digits.test[..., None], digits.test_labels, verbose=0, return_dict=True)["accuracy"]
    net.save(out / "digits.keras")
    write_sets(out, "keras", digits, channel_axis=3)
    return float(accuracy)
