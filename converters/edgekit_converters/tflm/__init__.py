"""A TFLite file packaged for TensorFlow Lite Micro: as a C array, with what its interpreter must be told."""
