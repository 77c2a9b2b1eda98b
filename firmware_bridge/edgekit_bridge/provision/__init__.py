"""Runtimes onto devices: wheels that fit, chosen and downloaded here, installed there in a folder of our own."""
