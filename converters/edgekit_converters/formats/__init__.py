"""Writers of model files; one file a format and framework, each ends with `CONVERTER`."""
