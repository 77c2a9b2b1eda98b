"""A TCP proxy on loopback that is as bad as a link can be: slow, far away, or cut."""

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

import pytest

from edgekit.errors import DeviceError

_PIECE_BYTES: Final = 16 << 10


class Proxy:
    """Stands before a server of this machine.

    Args:
        target: The server's port.
        delay_s: How much later bytes arrive, each way, seconds.
        rate: The most that passes each way, bytes a second; 0 for no limit.
        cut_after: Connections end when so many bytes have passed towards the server; once. None: never.
    """

    def __init__(self, target: int, *, delay_s: float = 0, rate: float = 0, cut_after: int | None = None) -> None:
        self._target = target
        self._delay_s = delay_s
        self._rate = rate
        self._left = cut_after
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = int(self._server.getsockname()[1])
        self._frozen = threading.Event()
        self.forth_bytes = 0
        """How many went through towards the server."""
        self.back_bytes = 0
        """How many came back."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._frozen.clear()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Close what is open."""
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def freeze(self) -> None:
        """Pass nothing on any more, and close nothing either: a cable that was pulled."""
        self._frozen.set()

    def cut_after(self, count: int) -> None:
        """Cut, once, when so many bytes more have passed towards the server."""
        self._left = count

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(one, other, one is near), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket, forth: bool) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        free = 0.0
        ended = False
        with suppress(OSError, ValueError):
            while not ended or waiting:
                due = waiting[0][0] - time.monotonic() if waiting else None
                if not ended and select.select([one], [], [], None if due is None else max(0.0, due))[0]:
                    piece = one.recv(_PIECE_BYTES)
                    ended = not piece
                    now = time.monotonic()
                    free = max(free, now) + (len(piece) / self._rate if self._rate else 0.0)
                    waiting.append((free + self._delay_s, piece))
                    if self._rate:
                        time.sleep(max(0.0, free - now))  # who sends feels it, as on a narrow link
                elif ended and due:
                    time.sleep(max(0.0, due))
                while waiting and waiting[0][0] <= time.monotonic():
                    self._pass(waiting.popleft()[1], other, forth=forth)

    def _pass(self, piece: bytes, other: socket.socket, *, forth: bool) -> None:
        while self._frozen.is_set():
            time.sleep(0.05)
        if not piece:
            other.shutdown(socket.SHUT_WR)
            return
        if forth and self._left is not None:
            piece, self._left = piece[: self._left], self._left - len(piece)
        other.sendall(piece)
        if forth:
            self.forth_bytes += len(piece)
        else:
            self.back_bytes += len(piece)
        if self._left is not None and self._left <= 0:
            self._left = None
            self.cut()


def until_done(work: Callable[[], object], after_each: Callable[[], None] = lambda: None) -> int:
    """Try until it succeeds, as a user would; how often it failed."""
    for failures in range(10):
        try:
            work()
        except DeviceError as error:
            assert error.cause  # noqa: PT017 - any cause will do, but none is a defect
        else:
            return failures
        finally:
            after_each()
    pytest.fail("ten tries did not do")
