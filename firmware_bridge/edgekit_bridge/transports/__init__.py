"""Transports; one file a URL scheme, each ends with `TRANSPORT`."""
