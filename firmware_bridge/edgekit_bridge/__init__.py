"""The bridge: reaches devices, puts artifacts there and runs the harness."""
