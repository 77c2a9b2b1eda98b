"""Converters: read source models, quantize and compile them into artifacts."""
