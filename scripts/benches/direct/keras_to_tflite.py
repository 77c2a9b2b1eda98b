"""Keras to TFLite with TensorFlow alone: `keras_to_tflite.py MODEL OUT`."""

import sys
from pathlib import Path

import keras
import tensorflow as tf

model = keras.models.load_model(sys.argv[1])
Path(sys.argv[2]).write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
