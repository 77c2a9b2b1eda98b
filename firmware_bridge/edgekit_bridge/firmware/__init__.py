"""Firmware that holds one model and measures it: `c/` is what runs on a board, the modules here build it."""
