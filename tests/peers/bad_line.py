"""A serial line between a pseudo terminal and firmware's TCP port: as slow as its rate, and as bad as is asked for."""

import os
import pty
import select
import socket
import threading
import time
import tty
from typing import Final, Self

import numpy as np

_PIECE_S: Final = 0.002
"""Bytes pass in pieces of so much time, as a UART's FIFO or a USB frame gives them."""


class BadLine:
    """Stands between `port`, which pyserial opens, and firmware that listens on TCP.

    Args:
        target: The firmware's TCP port.
        baud: Ten bits a byte pass each way at this rate; 0 for no limit.
        wrong: The share of bytes that arrive as another byte, each way.
        lost: The share of bytes that do not arrive, each way.
        seed: What goes wrong is the same for the same seed.

    Attributes:
        passed: How many bytes went in, each way: to the firmware, and from it.
    """

    def __init__(self, target: int, *, baud: int = 0, wrong: float = 0.0, lost: float = 0.0, seed: int = 0) -> None:
        self._target = target
        self._rate = baud / 10
        self._wrong = wrong
        self._lost = lost
        self._seed = seed
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self.passed = [0, 0]

    def __enter__(self) -> Self:
        self._socket = socket.create_connection(("127.0.0.1", self._target))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ends = (self._ours, self._socket.fileno())
        for way, (one, other) in enumerate((ends, ends[::-1])):
            thread = threading.Thread(target=self._copy, args=(one, other, way), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(5)
        self._socket.close()
        os.close(self._ours)
        os.close(self._theirs)

    def _copy(self, one: int, other: int, way: int) -> None:
        rng = np.random.default_rng((self._seed, way))
        most = max(1, int(self._rate * _PIECE_S)) if self._rate else 4096
        free = time.monotonic()
        while not self._end.is_set():
            if not select.select([one], [], [], 0)[0]:
                if not select.select([one], [], [], 0.05)[0]:
                    continue
                free = max(free, time.monotonic())  # the line was still: what it could have sent then is gone
            piece = os.read(one, most)
            if not piece:
                return
            self.passed[way] += len(piece)
            if self._rate:
                free += len(piece) / self._rate
                time.sleep(max(0.0, free - time.monotonic()))
            self._pass(other, self._spoil(piece, rng))

    def _spoil(self, piece: bytes, rng: np.random.Generator) -> bytes:
        if not self._wrong and not self._lost:
            return piece
        data = np.frombuffer(piece, np.uint8).copy()
        wrong = rng.random(len(data)) < self._wrong
        data[wrong] ^= rng.integers(1, 256, int(wrong.sum()), np.uint8)
        return data[rng.random(len(data)) >= self._lost].tobytes()

    def _pass(self, other: int, piece: bytes) -> None:
        view = memoryview(piece)
        while view and not self._end.is_set():
            if select.select([], [other], [], 0.05)[1]:
                view = view[os.write(other, view) :]
