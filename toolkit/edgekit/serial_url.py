"""Where a serial line is: `serial:/dev/ttyUSB0?baud=115200`, `serial:COM3`, `serial:socket://127.0.0.1:5000`.

What stands behind `serial:` is what pyserial opens (`serial.serial_for_url`): a port, or a URL of its own such as
`socket://` (a raw TCP stream, as QEMU and ser2net offer it) or `rfc2217://`.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from edgekit.device import DeviceUrl
from edgekit.errors import UsageError
from edgekit.suggest import did_you_mean

SERIAL: Final = "serial"
"""The scheme of a device that is reached by a byte stream, and runs no programs of ours."""

BAUD: Final = 115_200
"""What a line runs at where nobody says: the rate of nearly every board's console, and MLPerf Tiny's."""

_EXAMPLE: Final = "For example serial:/dev/ttyUSB0?baud=115200, or serial:socket://127.0.0.1:5000."


class SerialUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A serial line.

    Attributes:
        port: What `serial.serial_for_url` takes.
        baud: Bits a second; without meaning for a socket.
        options: What else the URL says, by name.
    """

    port: str
    baud: int = BAUD
    options: dict[str, str] = {}


def serial_url(url: DeviceUrl, known: Sequence[str] = ()) -> SerialUrl:
    """The serial line that a device URL names.

    Args:
        url: The device; of any scheme whose rest is a serial port.
        known: The options that may stand there beside `baud`.

    Raises:
        UsageError: It names no port, the baud rate is no number, or an option is unknown.
    """
    if url.host or not url.path.strip("/"):
        raise UsageError(f"{url} names no serial port.", hint=_EXAMPLE)
    options = dict(url.options)
    baud = options.pop("baud", str(BAUD))
    if not baud.isdecimal() or not 0 < int(baud) < 2**32:
        raise UsageError(f"The baud rate of {url} is {baud!r}; it must be a number above 0.", hint=_EXAMPLE)
    for name in options:
        if name not in known:
            hint = did_you_mean(name, ["baud", *known], "options")
            raise UsageError(f"{url} has an option {name!r}, which means nothing.", hint=hint)
    return SerialUrl(port=url.path, baud=int(baud), options=options)
