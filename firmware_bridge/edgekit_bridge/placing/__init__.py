"""Who executes an artifact's operators: one module a format, `place.py` for all."""
