"""A stand-in for firmware that speaks SMP over its console (Zephyr, SMP protocol specification), on a pty.

It is ours, framed by the library that smpclient is built on, so it proves nothing about a real board.
"""

import hashlib
import os
import pty
import select
import struct
import threading
import tty
from collections.abc import Iterator
from typing import Any, Final

import pytest

_HEADER: Final = struct.Struct(">BBHHBB")


class SmpBoard:
    """Takes an image into its second slot."""

    forgets = False

    def __init__(self) -> None:
        self.received = bytearray()
        self.marked = b""
        self.restarted = False
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Turn it off."""
        self._end.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self) -> None:
        import cbor2
        from smp.packet import decode, encode

        rest, decoder = b"", decode()
        next(decoder)
        while not self._end.is_set():
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            *lines, rest = (rest + os.read(self._master, 4096)).split(b"\n")
            for line in lines:
                try:
                    decoder.send(line + b"\n")
                except StopIteration as done:
                    operation, _, _, group, sequence, command = _HEADER.unpack(done.value[:8])
                    body = cbor2.dumps(
                        self._answer(operation & 7, group, command, cbor2.loads(done.value[8:] or b"\xa0"))
                    )
                    head = _HEADER.pack(operation + 1, 0, len(body), group, sequence, command)
                    for packet in encode(head + body):
                        os.write(self._master, packet)
                    decoder = decode()
                    next(decoder)

    def _answer(self, operation: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any]:
        match (operation, group, command):
            case (0, 0, 6):
                return {"buf_size": 1024, "buf_count": 4}
            case (2, 1, 1):
                if body["off"] == 0:
                    self.received.clear()
                self.received += body["data"]
                return {"off": len(self.received)}
            case (2, 1, 0):
                self.marked = body["hash"]
                return {"images": self._images()}
            case (0, 1, 0):
                return {"images": self._images()}
            case (2, 0, 5):
                self.restarted = True
        return {}

    def _images(self) -> list[dict[str, Any]]:
        if self.forgets or not self.received:
            return []
        digest = hashlib.sha256(self.received[:-40]).digest()
        return [{"slot": 1, "version": "0.1.0", "hash": digest, "bootable": True, "pending": bool(self.marked)}]


@pytest.fixture
def smp_board() -> Iterator[SmpBoard]:
    """Firmware that waits for an image."""
    board = SmpBoard()
    yield board
    board.close()
