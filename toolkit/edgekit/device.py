"""Device URLs: `local:`, `ssh://user@host:port`, `adb://SERIAL`, `serial:/dev/ttyUSB0?baud=115200`."""

import re
from urllib.parse import parse_qsl, urlsplit

import msgspec

from edgekit.errors import UsageError


class DeviceUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Where one reachable device is. A password has no place in it."""

    scheme: str
    user: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    options: dict[str, str] = {}

    def __str__(self) -> str:
        """The URL as users write it."""
        query = "?" + "&".join(f"{key}={value}" for key, value in self.options.items()) if self.options else ""
        if not self.host and not self.path.startswith("/"):
            return f"{self.scheme}:{self.path}{query}"
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{user}{self.host}{port}{self.path}{query}"


def _host(netloc: str) -> str:
    """The host as it was written: a serial number's capitals matter, and urlsplit drops them."""
    found = re.fullmatch(r"(?:[^@]*@)?(?:\[([^\]]*)\]|([^:]*))(?::\d*)?", netloc)
    return (found[1] or found[2] or "") if found else ""


def parse_device(text: str) -> DeviceUrl:
    """Read a device URL.

    Raises:
        UsageError: It has no scheme, a bad port, or a password.
    """
    hint = "Write `local:` for this machine, or ssh://user@host:port."
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not a device URL: {error}.", hint=hint) from None
    if not parts.scheme:
        raise UsageError(f"{text!r} is not a device URL: it has no scheme.", hint=hint)
    if parts.password is not None:
        raise UsageError("A device URL must not hold a password.", hint="Use a key or the agent of your SSH client.")
    return DeviceUrl(
        scheme=parts.scheme,
        user=parts.username or "",
        host=_host(parts.netloc),
        port=port,
        path=parts.path,
        options=dict(parse_qsl(parts.query)),
    )
