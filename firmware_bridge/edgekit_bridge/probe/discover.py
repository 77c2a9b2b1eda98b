"""What devices there are to be found from here: announced by multicast DNS, known to adb, on serial ports.

Each way that cannot be gone (a library or program is missing, no network) is told, and stops no other.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import DeviceError, UsageError
from edgekit.inventory import Device
from edgekit_bridge.transports.program import run_program

SSH_SERVICES: Final = ("_ssh._tcp", "_sftp-ssh._tcp", "_workstation._tcp")
"""Service types (RFC 6763; IANA's registry) behind which an SSH server is likely; the last one names any computer."""

ADB_SERVICES: Final = ("_adb-tls-connect._tcp", "_adb._tcp")
"""Android's wireless debugging (packages/modules/adb, adb_mdns.h)."""

_SSH_PORT: Final = 22
_RESOLVE_MS: Final = 3000
"""The longest wait for one host's port and address: a record goes out once a second at most (RFC 6762, section 6)."""

_RESOLVED_AT_ONCE: Final = 16
_ADB_S: Final = 15.0
"""The longest that adb may take: starting its server takes 3 s."""

_UNKNOWN: Final = "n/a"
"""What pyserial says of a port that it knows nothing of."""

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
"""A host name (RFC 1123); what is announced otherwise cannot be typed."""

_ADB_STATES: Final = {
    "device": "",
    "unauthorized": "Accept this computer's key on the device's screen.",
    "offline": "It does not answer: replug it, or try: adb reconnect offline",
    "recovery": "It is in its recovery system: adb reboot",
    "sideload": "It waits for an update: adb reboot",
    "bootloader": "It is in its boot loader: fastboot reboot",
    "no permissions": "Install Android's udev rules (Debian: android-sdk-platform-tools-common), then replug it.",
}
"""What adb says of a device, and the next step."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One device that may be there.

    Attributes:
        url: What to type.
        source: Who told.
        what: What it says of itself.
        addresses: Its network addresses.
        name: Its name in the inventory; empty when it is not listed.
        note: What to do before it can be used; empty when nothing is known to be in the way.
    """

    url: str
    source: Literal["mdns", "adb", "serial"]
    what: str = ""
    addresses: tuple[str, ...] = ()
    name: str = ""
    note: str = ""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and a line for each way of looking that could not be gone."""

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]


class _NotHereError(Exception):
    """This way of looking cannot be gone; says why."""


def discover(inventory: Sequence[Device], *, timeout_s: float) -> Discovery:
    """Look every way there is.

    Args:
        inventory: The devices that have names.
        timeout_s: How long to listen for announcements.
    """
    findings: list[Finding] = []
    missing: list[str] = []
    ways: Sequence[Callable[[], Iterable[Finding]]] = (lambda: _announced(timeout_s), _known_to_adb, _serial_ports)
    for way in ways:
        try:
            findings += way()
        except _NotHereError as error:
            missing.append(str(error))
    known = {transport.scheme for transport in catalog.transports()}
    return Discovery(
        findings=tuple(_completed(finding, inventory, known) for finding in findings), missing=tuple(missing)
    )


def _completed(finding: Finding, inventory: Sequence[Device], schemes: set[str]) -> Finding:
    """The finding with its name in the inventory, and with what is in the way."""
    name = next((device.name for device in inventory if _is_same(finding, device.url)), "")
    reachable = finding.url.partition(":")[0] in schemes
    notes = [finding.note, "" if reachable else "Not reachable by edgekit yet."]
    return msgspec.structs.replace(finding, name=name, note=" ".join(filter(None, notes)))


def _is_same(finding: Finding, listed: str) -> bool:
    """Whether an inventory's URL is of what was found; users and options may differ."""
    try:
        here, there = parse_device(finding.url), parse_device(listed)
    except UsageError:
        return False
    default = _SSH_PORT if here.scheme == "ssh" else None
    return (
        here.scheme == there.scheme
        and there.host in {here.host, here.host.removesuffix(".local"), *finding.addresses}
        and (here.port or default) == (there.port or default)
        and here.path == there.path
    )


def _announced(timeout_s: float) -> list[Finding]:
    """Listen for what is announced by multicast DNS (RFC 6762)."""
    try:
        from zeroconf import DNSQuestionType, ServiceBrowser, ServiceStateChange, Zeroconf
    except ImportError:
        raise _NotHereError("Multicast DNS: zeroconf is missing: pip install 'edgekit-toolkit[discover]'") from None
    try:
        network = Zeroconf()
    except OSError as error:
        raise _NotHereError(f"Multicast DNS: no network to listen on ({error.strerror or error}).") from None
    with network:
        heard: dict[tuple[str, str], None] = {}

        def hear(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:  # noqa: ARG001 - zeroconf calls by name
            heard[service_type, name] = None

        types = [f"{service}.local." for service in (*SSH_SERVICES, *ADB_SERVICES)]
        # Answers to everybody: one to us alone may go to another program here that listens on the same port.
        to_all = DNSQuestionType.QM
        browser = ServiceBrowser(network, types, handlers=[hear], question_type=to_all)
        time.sleep(timeout_s)
        browser.cancel()

        def resolve(item: tuple[str, str]) -> Finding | None:
            return _resolved(*item, network.get_service_info(*item, timeout=_RESOLVE_MS, question_type=to_all))

        with ThreadPoolExecutor(_RESOLVED_AT_ONCE) as pool:
            return _by_url([finding for finding in pool.map(resolve, tuple(heard)) if finding])


def _resolved(type_: str, name: str, told: Any) -> Finding | None:
    """An announcement with its host and port; None where they were not told, or not as a host name."""
    host = (told.server or "").rstrip(".") if told else ""
    if told is None or not _HOST.fullmatch(host):
        return None
    service = type_.removesuffix(".local.")
    scheme = "adb" if service in ADB_SERVICES else "ssh"
    plain = scheme == "ssh" and (told.port == _SSH_PORT or service == "_workstation._tcp")
    return Finding(
        url=f"{scheme}://{host}" if plain else f"{scheme}://{host}:{told.port}",
        source="mdns",
        what=_plain(f"{name.removesuffix(f'.{type_}')} ({service})"),
        addresses=tuple(told.parsed_addresses()),
    )


def _by_url(findings: Sequence[Finding]) -> list[Finding]:
    """One for each URL: a computer announces several services."""
    found: dict[str, Finding] = {}
    for finding in findings:
        found.setdefault(finding.url, finding)
    return [found[url] for url in sorted(found)]


def _plain(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _known_to_adb() -> list[Finding]:
    """Ask Android's own client (adb, docs/user/adb.1.md)."""
    if shutil.which("adb") is None:
        raise _NotHereError("Android: there is no adb on PATH (Debian: apt install adb).")
    try:
        done = run_program(["adb", "devices", "-l"], stdin=b"", timeout_s=_ADB_S, on_line=None)
    except DeviceError as error:
        raise _NotHereError(f"Android: {error.cause}") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise _NotHereError(f"Android: adb failed: {_plain(words[-1])}")
    lines = done.stdout.decode(errors="replace").splitlines()
    return [finding for line in lines if (finding := _android(line))]


def _android(line: str) -> Finding | None:
    """One line of `adb devices -l`: `SERIAL  device usb:1-1 product:… model:Pixel_6 …`; None for any other."""
    match = re.match(r"(\S+)\s+(no permissions|device|unauthorized|offline|recovery|sideload|bootloader)\b(.*)", line)
    if match is None:
        return None
    serial, state, rest = match.groups()
    model = re.search(r"\bmodel:(\S+)", rest)
    what = _plain(model[1].replace("_", " ")) if model else "Android"
    note = _ADB_STATES[state]
    return Finding(url=f"adb://{_plain(serial)}", source="adb", what=f"{what} ({state})" if note else what, note=note)


def _serial_ports() -> list[Finding]:
    """Ask the system which serial ports it has, and what is plugged into them."""
    try:
        from serial.tools import list_ports
    except ImportError:
        raise _NotHereError("Serial ports: pyserial is missing: pip install 'edgekit-toolkit[discover]'") from None
    return [_port(port) for port in sorted(list_ports.comports(), key=lambda port: str(port.device))]


def _port(port: Any) -> Finding:
    ids = f" ({port.vid:04x}:{port.pid:04x})" if port.vid is not None and port.pid is not None else ""
    name = next((name for name in (port.product, port.description) if name not in {None, "", _UNKNOWN}), "serial port")
    return Finding(
        url=f"serial://{port.device}", source="serial", what=_plain(f"{name}{ids}"), note=_no_permission(port.device)
    )


def _no_permission(device: str) -> str:
    """What to do where this user may not open a port; empty where they may."""
    if os.access(device, os.R_OK | os.W_OK):
        return ""
    try:
        group = Path(device).group()
    except (OSError, KeyError):
        return "No permission to open it."
    return f"No permission: group {group}. Join it, then log in anew: sudo usermod -aG {group} $USER"
