"""`virtual:NAME`: an emulated device of ours, by its name; reached over SSH, or, a phone, over adb.

An SSH server there has keys and a host key of its own. Options of the URL are those of that transport.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from edgekit import catalog
from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError, UsageError
from edgekit.protocols import Link, Transport


class _VirtualTransport:
    scheme = "virtual"

    @contextmanager
    def open(self, url: DeviceUrl, *, timeout_s: float) -> Iterator[Link]:
        """Connect to it.

        Raises:
            DeviceError: There is none of this name, it is not running, or it cannot be reached.
        """
        from edgekit_bridge.virtual.devices import url_of
        from edgekit_bridge.virtual.record import load, running

        name = url.host or url.path
        try:
            device = load(name)
        except UsageError as error:
            raise DeviceError(error.cause, hint=error.hint) from None
        if running(device) is None:
            raise DeviceError(f"The virtual device {name} is not running.", hint=f"edgekit virtual start {name}")
        reached = url_of(device)
        reached = msgspec.structs.replace(reached, options=reached.options | url.options)
        with catalog.transport(reached.scheme).open(reached, timeout_s=timeout_s) as link:
            yield link


TRANSPORT: Transport = _VirtualTransport()
"""Found by `edgekit.catalog`."""
