"""Readers of source models; one file a kind and framework, each ends with `READER`."""
