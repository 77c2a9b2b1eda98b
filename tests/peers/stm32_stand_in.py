"""A stand-in for the boot loader in an STM32's ROM, by ST AN3155: what edgekit does with its answers is tested by it.

It is ours, so it proves nothing about a real chip.
"""

import os
import pty
import select
import threading
import tty
from collections.abc import Iterator
from functools import reduce
from operator import xor
from typing import Final

import pytest

ACK: Final = b"\x79"
NACK: Final = b"\x1f"
FLASH: Final = 0x08000000


class Stm32:
    """A chip of 16 KiB, on a pty."""

    product = 0x413
    protected = False
    wears_out = False

    def __init__(self) -> None:
        self.flash = bytearray(b"\x5a" * 16384)
        self.started = 0
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

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and not self._end.is_set():
            if select.select([self._master], [], [], 0.05)[0]:
                data += os.read(self._master, count - len(data))
        return data

    def _say(self, data: bytes) -> None:
        os.write(self._master, data)

    def _serve(self) -> None:
        while not self._end.is_set():
            first = self._read(1)
            if first == b"\x7f":
                self._say(ACK)
            elif first and self._read(1) == bytes([first[0] ^ 0xFF]):
                self._do(first[0])
            elif first:
                self._say(NACK)

    def _do(self, command: int) -> None:
        if command == 0x00:
            self._say(ACK + bytes([11, 0x31, 0, 1, 2, 0x11, 0x21, 0x31, 0x44, 0x63, 0x73, 0x82, 0x92]) + ACK)
        elif command == 0x02:
            self._say(ACK + bytes([1]) + self.product.to_bytes(2, "big") + ACK)
        elif command == 0x44:
            self._say(ACK)
            self._read(3)
            self.flash[:] = b"\xff" * len(self.flash)
            self._say(ACK)
        elif self.protected or command not in {0x11, 0x21, 0x31}:
            self._say(NACK)
        else:
            self._say(ACK)
            self._with_address(command)

    def _with_address(self, command: int) -> None:
        words = self._read(5)
        place = int.from_bytes(words[:4], "big") - FLASH
        right = len(words) == 5 and reduce(xor, words[:4]) == words[4] and 0 <= place < len(self.flash)
        self._say(ACK if right else NACK)
        if not right:
            return
        if command == 0x21:
            self.started = place + FLASH
        elif command == 0x11:
            count = self._read(2)[0] + 1
            self._say(ACK + bytes(self.flash[place : place + count]))
        else:
            count = self._read(1)[0] + 1
            data = self._read(count + 1)[:-1]
            self.flash[place : place + count] = data if not self.wears_out else bytes(count)
            self._say(ACK)


@pytest.fixture
def stm32() -> Iterator[Stm32]:
    """A chip whose boot loader waits."""
    chip = Stm32()
    yield chip
    chip.close()
