"""Small Keras networks trained on scikit-learn's digits, as int8 and float32 TFLite files."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def digits() -> tuple[Array, Array]:
    """All 1,797 images, 8 x 8 x 1 in 0 to 1, and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images.astype(np.float32)[..., None] / 16, found.target


def trained() -> Iterator[tuple[str, bytes, Sequence[Array]]]:
    """Each network's name, file, and images of one sample each."""
    images, labels = digits()
    for name, net in _networks().items():
        net.compile("adam", "sparse_categorical_crossentropy")
        net.fit(images, labels, epochs=3, batch_size=64, verbose=0)
        for kind in ("int8", "float32"):
            yield f"digits {name} {kind}", _tflite(net, images, kind), [image[None] for image in images]


def _networks() -> dict[str, Any]:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)

    def network(*parts: Any) -> Any:
        return keras.Sequential([layers.Input((8, 8, 1), batch_size=1), *parts, layers.Dense(10, activation="softmax")])

    x = layers.Input((8, 8, 1), batch_size=1)
    first = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    second = layers.Conv2D(8, 3, padding="same")(first)
    joined = layers.ReLU()(layers.Add()([first, second]))
    pooled = layers.Concatenate()([layers.MaxPooling2D(2)(joined), layers.AveragePooling2D(2)(joined)])
    heads = layers.Dense(10, activation="softmax")(layers.Flatten()(pooled))
    return {
        "dense": network(layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(16, activation="tanh")),
        "convolution": network(
            layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(2), layers.Conv2D(16, 3), layers.ReLU(6.0),
            layers.Flatten(),
        ),
        "separable": network(
            layers.SeparableConv2D(12, 3, strides=2, padding="same"), layers.BatchNormalization(), layers.ReLU(6.0),
            layers.SeparableConv2D(16, 3, padding="same", activation="relu"), layers.GlobalAveragePooling2D(),
        ),
        "residual": keras.Model(x, heads),
        "gated": network(
            layers.ZeroPadding2D(1), layers.Conv2D(6, 3, activation="sigmoid"),
            layers.Resizing(16, 16, interpolation="nearest"), layers.Permute((2, 1, 3)), layers.AveragePooling2D(4),
            layers.Flatten(),
        ),
    }  # fmt: skip


def _tflite(net: Any, images: Array, kind: str) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(net)
    if kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images[:200])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it tells where it saved what on the way
        warnings.simplefilter("ignore")
        return bytes(converter.convert())
