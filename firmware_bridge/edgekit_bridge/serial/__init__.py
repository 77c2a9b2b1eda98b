"""Microcontrollers on a serial line: frames, the exchange over them, and the harness that measures there."""
