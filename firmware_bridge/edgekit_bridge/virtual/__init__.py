"""Emulated devices: an arm64 userland, or a whole board with a kernel of its own."""
