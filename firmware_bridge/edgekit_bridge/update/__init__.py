"""Artifacts onto devices as updates: only what is missing travels, and one rename switches."""
