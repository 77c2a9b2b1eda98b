"""Sending a file by YMODEM: CRC-16, blocks of 1024 bytes, a batch of one file.

The protocol: Chuck Forsberg, XMODEM/YMODEM Protocol Reference (1988), chapters 4 and 7. Receivers: U-Boot's `loady`,
`rb` of lrzsz, and most bootloaders.
"""

import time
from binascii import crc_hqx
from typing import Final

from edgekit.errors import DeviceError
from edgekit.protocols import Step
from edgekit_bridge.serial.line import Line

SOH: Final = 0x01
STX: Final = 0x02
EOT: Final = 0x04
ACK: Final = 0x06
NAK: Final = 0x15
CAN: Final = 0x18
READY: Final = ord("C")
"""The receiver asks for CRC-16."""

BLOCK_BYTES: Final = 1024
HEADER_BYTES: Final = 128
PAD: Final = b"\x1a"
"""CP/M's end of file, which fills the last block; the header says where the file ends before it."""

TRIES: Final = 10
ANSWER_S: Final = 10.0
"""What the reference gives a sender (7.3.2 has a receiver's time limits: 10 s before the first block, then 1 s)."""


_BATCH_S: Final = 1.0
_BATCH_TRIES: Final = 2
"""The file was confirmed by then: lrzsz throws its last answer away with what else its terminal holds, as it ends."""


def _framed(number: int, data: bytes) -> bytes:
    start = SOH if len(data) == HEADER_BYTES else STX
    count = number & 0xFF
    return bytes([start, count, 0xFF - count]) + data + crc_hqx(data, 0).to_bytes(2, "big")


class Sender:
    """One transfer over a line.

    Args:
        line: Where the receiver is.
        answer_s: How long it may take to answer.
        asks_for_content: Whether it asks again after the header, as the reference says. U-Boot does so only after 4 s
            of silence (common/xyzModem.c), and takes the content at once.
    """

    def __init__(self, line: Line, *, answer_s: float = ANSWER_S, asks_for_content: bool = True) -> None:
        self._line = line
        self._answer_s = answer_s
        self._asks_for_content = asks_for_content
        self._resent = 0

    def send(self, name: str, content: bytes, step: Step, *, ready_s: float) -> int:
        """Send a file.

        Args:
            name: What the receiver is told it is called.
            content: Its bytes.
            step: Advanced by bytes.
            ready_s: How long the receiver may take to be ready; 0 when it has said so already.

        Returns:
            How many blocks had to be sent again.

        Raises:
            DeviceError: The receiver is not there, gave up, or does not take a block.
        """
        try:
            if ready_s:
                self._await_ready(ready_s)
            header = name.encode("ascii", "replace") + b"\0" + str(len(content)).encode()
            self._block(0, header.ljust(HEADER_BYTES, b"\0"), "the header")
            if self._asks_for_content:
                self._await_ready(self._answer_s)
            for start in range(0, len(content), BLOCK_BYTES):
                piece = content[start : start + BLOCK_BYTES]
                room = HEADER_BYTES if len(piece) <= HEADER_BYTES else BLOCK_BYTES
                number = start // BLOCK_BYTES + 1
                self._block(number, piece.ljust(room, PAD), f"block {number}")
                step.advance(len(piece))
            self._end()
        except BaseException:
            self._line.write(bytes([CAN]) * 8 + b"\b" * 8)
            raise
        return self._resent

    def _await_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            heard = self._line.byte(left)
            if heard == READY:
                return
            if heard == CAN and self._line.byte(1.0) == CAN:
                raise self._refused("before the file")
        raise DeviceError(
            f"Nothing at {self._line.name} asked for a file by YMODEM within {timeout_s:g} s.",
            hint="Start the receiver: `loady` at U-Boot's prompt, `rb --ymodem` on Linux, or the bootloader's own key.",
            transient=True,
        )

    def _block(self, number: int, data: bytes, what: str) -> None:
        frame = _framed(number, data)
        for attempt in range(TRIES):
            self._resent += attempt > 0
            self._line.write(frame)
            if self._answer(what) == ACK:
                return
        raise DeviceError(
            f"{self._line.name}: the receiver did not take {what} in {TRIES} attempts.",
            hint="Bytes are lost or changed on the way: a lower --baud, a shorter cable, a common ground.",
            transient=True,
        )

    def _answer(self, what: str, timeout_s: float = 0.0) -> int:
        """ACK or NAK; NAK too when nothing was heard. What is neither is noise, or a `C` that came late."""
        deadline = time.monotonic() + (timeout_s or self._answer_s)
        while (left := deadline - time.monotonic()) > 0:
            heard = self._line.byte(left)
            if heard in {ACK, NAK}:
                return heard
            if heard == CAN and self._line.byte(1.0) == CAN:
                raise self._refused(f"at {what}")
        return NAK

    def _end(self) -> None:
        """End of file, which many receivers want twice, then an empty header: no further file."""
        for _ in range(TRIES):
            self._line.write(bytes([EOT]))
            if self._answer("the end") == ACK:
                break
        else:
            raise DeviceError(f"{self._line.name}: the receiver did not confirm the end of the file.", transient=True)
        self._await_ready(self._answer_s)
        for _ in range(_BATCH_TRIES):
            self._line.write(_framed(0, bytes(HEADER_BYTES)))
            if self._answer("the end of the batch", min(self._answer_s, _BATCH_S)) == ACK:
                break

    def _refused(self, when: str) -> DeviceError:
        return DeviceError(
            f"The receiver at {self._line.name} gave the transfer up {when}.",
            hint="It may have too little room, or have timed out; look at what it says, and start it again.",
            transient=True,
        )
