"""`virtual:NAME`: an emulated device of ours, by its name; reached over SSH, with keys and host key of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

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
        from edgekit_bridge.transports.ssh import TRANSPORT as SSH
        from edgekit_bridge.virtual.devices import ssh_url
        from edgekit_bridge.virtual.record import load, running

        name = url.host or url.path
        try:
            device = load(name)
        except UsageError as error:
            raise DeviceError(error.cause, hint=error.hint) from None
        if running(device) is None:
            raise DeviceError(f"The virtual device {name} is not running.", hint=f"edgekit virtual start {name}")
        with SSH.open(ssh_url(device), timeout_s=timeout_s) as link:
            yield link


TRANSPORT: Transport = _VirtualTransport()
"""Found by `edgekit.catalog`."""
