"""`serial-console:/dev/ttyUSB0?baud=115200&login=root`: a Linux board by its serial console, before it has a network.

URL options: `baud`, `login` (who logs in; the password is in `EDGEKIT_CONSOLE_PASSWORD` or asked for), `home=/folder`,
`python=/path`.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from edgekit.device import DeviceUrl
from edgekit.protocols import Link, Transport
from edgekit.serial_url import serial_url
from edgekit_bridge.console.link import ConsoleLink
from edgekit_bridge.console.session import Console

OPTIONS: Final = ("login", "home", "python")


class _SerialConsoleTransport:
    scheme = "serial-console"

    @contextmanager
    def open(self, url: DeviceUrl, *, timeout_s: float) -> Iterator[Link]:
        """Log in at it.

        Raises:
            UsageError: The URL names no port.
            DeviceError: The port does not open, nobody answers there, or not a Linux shell.
        """
        where = serial_url(url, OPTIONS)
        with closing(Console(where, user=where.options.get("login", ""), timeout_s=timeout_s)) as console:
            yield ConsoleLink(console, str(url), where.options)


TRANSPORT: Transport = _SerialConsoleTransport()
"""Found by `edgekit.catalog`."""
