"""`adb://SERIAL`: an Android device, by the system's adb client and its server; `adb:` when there is only one.

A SERIAL of the form host:port is connected to over the network first. URL options: `home=/folder`, else
`/data/local/tmp/edgekit`, which programs may be started from; `python=/path` where there is one.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Link, Transport
from edgekit_bridge.transports.program import run_program
from edgekit_bridge.transports.refusals import Fault, explained
from edgekit_bridge.transports.shell_link import open_link

HOME: Final = "/data/local/tmp/edgekit"
"""Where `adb shell` may write and start programs (the shell domain's shell_data_file, AOSP system/sepolicy)."""

CONNECT_S: Final = 15.0
"""The longest that the server may take to start, or a device to be connected to."""

_PULSE_S: Final = 10.0


_FAULTS: Final[Sequence[Fault]] = (
    Fault(
        "unauthorized|failed to authenticate",
        "{name} has not allowed this computer to debug it.",
        "Unlock it and confirm “Allow USB debugging”; when nothing is asked: adb kill-server, and replug it.",
        False,
    ),
    Fault(
        "no permissions|insufficient permissions",
        "This user may not use {name} over USB.",
        "Install the rules for udev (Debian: apt install android-sdk-platform-tools-common); join the group plugdev.",
        False,
    ),
    Fault(
        "more than one (device|emulator)",
        "Several devices are connected: {others}.",
        "Name one of them: --device adb://SERIAL",
        False,
    ),
    Fault("offline", "{name} is connected, and does not answer.", "Replug it, or: adb reconnect offline", True),
    Fault(
        "no devices/emulators found",
        "No Android device is connected.",
        "Plug it in, and turn USB debugging on (Settings, Developer options); adb devices lists it then.",
        True,
    ),
    Fault(
        "not found",
        "{name} is not connected. Connected: {others}.",
        "Plug it in, and turn USB debugging on; over the network: adb pair HOST:PORT once, then adb://HOST:PORT.",
        True,
    ),
    Fault(
        "failed to connect|cannot connect to|unable to connect|Connection refused|timed out|No route",
        "{name} cannot be connected to.",
        "Is wireless debugging on there, and the port the one that it shows? Once before: adb pair HOST:PORT",
        True,
    ),
    Fault("daemon|server", "adb's server does not run: {said}", "Try: adb kill-server; adb start-server", False),
    Fault("closed|reset|protocol fault|EOF|failed to read", "The connection to {name} broke.", "Try again.", True),
)
"""What adb says (AOSP packages/modules/adb: transport.cpp, client/commandline.cpp), what it means, and what to do."""

_WRAP: Final = r"""
trap : TERM
"$@"
printf '\n@edgekit ended %d@\n' $? >&2
"""
"""Says that a script ended, and how: the client exits with 0 when its server is gone (adb, client/commandline.cpp)."""

_ENDED: Final = re.compile(rb"\n@edgekit ended (\d+)@\n$")


class _AdbClient:
    """The `adb` command line for one device."""

    python_hint = (
        "Phones have none: benchmark_model measures there (edgekit provision DEVICE --runtime benchmark_model)."
    )

    def __init__(self, url: DeviceUrl, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._adb = _program()
        self._serial = f"{url.host}:{url.port}" if url.port else url.host
        self._words = [self._adb, *(["-s", self._serial] if self._serial else [])]
        self._connected = False

    def connect(self) -> None:
        """See that the device is there; one on the network is connected to first.

        Raises:
            DeviceError: It is not, and why.
        """
        if self.url.port and self._state() != "device":
            self._ask([self._adb, "disconnect", self._serial])
            said = self._ask([self._adb, "connect", self._serial])
            if b"connected to" not in said.stdout or b"failed" in said.stdout:
                raise self._fault(said.stdout + said.stderr)
        state = self._state()
        if state != "device":
            raise self._fault(state.encode())
        self._connected = True

    def run(
        self,
        words: Sequence[str],
        *,
        stdin: Iterable[bytes] | int = (),
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
        hold_stdin: bool = False,
    ) -> Completed:
        """Run a POSIX shell script there: the script, its name and its arguments.

        Raises:
            DeviceError: The device is not there, or the connection broke.
        """
        if not self._connected:
            self.connect()
        argv = [*self._words, "shell", "-T", shlex.join(["exec", "sh", "-c", _WRAP, "sh", "sh", "-c", *words])]
        done = run_program(
            argv,
            stdin=stdin,
            timeout_s=timeout_s,
            on_line=on_line,
            hold_stdin=hold_stdin,
            on_silence=self._feel_pulse,
        )
        ended = _ENDED.search(done.stderr)
        if ended is None:
            self._connected = False
            raise self._fault(done.stderr or b"closed")
        return Completed(returncode=int(ended[1]), stdout=done.stdout, stderr=done.stderr[: ended.start()])

    def _feel_pulse(self) -> None:
        """A link that was cut is never told by adb: it waits, and lists the device on.

        Raises:
            DeviceError: The device did not answer.
        """
        try:
            alive = self._ask([*self._words, "shell", "-T", ":"], _PULSE_S).returncode == 0
        except DeviceError:
            alive = False
        if not alive:
            self._connected = False
            if self.url.port:
                self._ask([self._adb, "disconnect", self._serial])
            raise DeviceError(
                f"{self._name} does not answer any more.", hint="Look at its cable or network.", transient=True
            )

    @property
    def _name(self) -> str:
        return self._serial or "The device"

    def _state(self) -> str:
        """`device`, or what is wrong, in adb's words."""
        done = self._ask([*self._words, "get-state"])
        return (done.stdout if done.returncode == 0 else done.stderr).decode(errors="replace").strip()

    def _ask(self, argv: Sequence[str], timeout_s: float = CONNECT_S) -> Completed:
        return run_program(argv, stdin=b"", timeout_s=timeout_s, on_line=None)

    def _fault(self, words: bytes) -> DeviceError:
        said = words.decode(errors="replace").strip()
        names = {"name": self._name, "others": self._others(), "said": (said.splitlines() or ["nothing"])[-1]}
        if known := explained(said, _FAULTS, names):
            return known
        return DeviceError(f"adb could not reach {self._name}: {names['said']}", hint="Try by hand: adb devices -l")

    def _others(self) -> str:
        lines = self._ask([self._adb, "devices"]).stdout.decode(errors="replace").splitlines()[1:]
        return ", ".join(line.split()[0] for line in lines if line.strip()) or "none"


def _program() -> str:
    """The adb client: the system's, else the one that adbutils brings.

    Raises:
        DeviceError: There is none.
    """
    if found := shutil.which("adb"):
        return found
    try:
        from adbutils import adb_path  # type: ignore[import-not-found,unused-ignore]  # optional
    except ImportError:
        raise DeviceError(
            "There is no adb on this machine.",
            hint="Install it (Debian: apt install adb), put the Android SDK's platform-tools on PATH, or: "
            "pip install adbutils",
        ) from None
    return str(adb_path())


class _AdbTransport:
    scheme = "adb"

    @contextmanager
    def open(self, url: DeviceUrl, *, timeout_s: float) -> Iterator[Link]:
        """Connect, and look where home and Python are.

        Raises:
            DeviceError: There is no adb, the device is not there, or has not allowed this computer.
        """
        yield open_link(_AdbClient(url, timeout_s), home=HOME)


TRANSPORT: Transport = _AdbTransport()
"""Found by `edgekit.catalog`."""
