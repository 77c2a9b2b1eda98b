"""Passes connections on into a network namespace: run inside it, with a socket that listens outside of it.

Usage: python relay.py DESCRIPTOR PORT
"""

import socket
import sys
import threading
from contextlib import suppress
from typing import Final

_PIECE_BYTES: Final = 1 << 18


def relay(listening: socket.socket, port: int) -> None:
    """Pass on every connection to this port of the namespace's loopback; forever."""
    while True:
        near, _ = listening.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(_PIECE_BYTES):
            other.sendall(piece)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    relay(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
