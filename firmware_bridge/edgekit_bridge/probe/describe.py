"""What a device is: one round trip, by a program where there is Python, by a plain shell where there is none.

Whatever comes back was said by the device: it is bounded, checked against `DeviceFacts`, and freed from what a
terminal would obey, before anybody sees it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from edgekit.device_facts import DeviceFacts
from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Link, Probe
from edgekit_bridge.harness import on_device
from edgekit_bridge.probe import on_device_facts, shell_facts

_PROBE_S: Final = 90.0
"""The longest that a probe may take: an emulated board compiles the two programs in 5 s."""

_ANSWER_BYTES: Final = 4 << 20
"""More than any device has to say: 128 cores' /proc/cpuinfo is 200 kB."""

_TEXT: Final = 4000
"""The longest text that is kept; feature lists are words."""

_BOOTSTRAP: Final = """
import sys, types
def load(name, source):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module
harness = sys.modules["edgekit_bridge.harness"] = types.ModuleType("edgekit_bridge.harness")
harness.on_device = load("edgekit_bridge.harness.on_device", {harness!r})
load("edgekit_bridge.probe.on_device_facts", {facts!r}).main({home!r})
"""
"""Gives the program there the one module of ours that it imports."""


def describe(link: Link) -> DeviceFacts:
    """Ask a device what it is.

    Raises:
        DeviceError: It does not answer, or with something else than facts.
    """
    ask = _by_program if _has_python(link) else _by_shell
    try:
        return msgspec.convert(_harmless(ask(link)), DeviceFacts)
    except msgspec.ValidationError as error:
        raise DeviceError(
            f"The device describes itself in a way that cannot be: {error}.",
            hint="Is what answers there really a Linux device? Log in and look.",
        ) from None


def _has_python(link: Link) -> bool:
    try:
        return bool(link.python())
    except DeviceError:
        return False


def _by_program(link: Link) -> Any:
    program = _BOOTSTRAP.format(
        harness=Path(on_device.__file__).read_text("utf-8"),
        facts=Path(on_device_facts.__file__).read_text("utf-8"),
        home=str(link.home()),
    )
    done = link.run([link.python(), "-"], stdin=program.encode(), timeout_s=_PROBE_S, on_line=_bounded())
    for line in reversed(_checked(done).stdout.splitlines()):
        if line.startswith(b"{"):
            return _decoded(line)
    raise _no_facts(done)


def _by_shell(link: Link) -> Any:
    argv = ["sh", "-c", shell_facts.SCRIPT, "sh", shell_facts.MARK, str(link.home())]
    done = _checked(link.run(argv, timeout_s=_PROBE_S, on_line=_bounded()))
    if shell_facts.MARK.encode() not in done.stdout:
        raise _no_facts(done)
    try:
        return shell_facts.read(done.stdout, str(link.home()))
    except (ValueError, ArithmeticError, LookupError) as error:
        raise DeviceError(
            f"The device's files of itself are not what Linux writes: {error}.",
            hint="Is what answers there really a Linux device? Log in and look.",
        ) from None


def _bounded() -> Callable[[bytes], None]:
    """Listens, and ends a device that does not stop talking."""
    heard = 0

    def hear(line: bytes) -> None:
        nonlocal heard
        heard += len(line) + 1
        if heard > _ANSWER_BYTES:
            raise _too_much()

    return hear


def _checked(done: Completed) -> Completed:
    if len(done.stdout) > _ANSWER_BYTES:
        raise _too_much()
    return done


def _too_much() -> DeviceError:
    return DeviceError(
        "The device does not stop describing itself.",
        hint="Log in and look: its shell's start-up files, or its python3, print something else.",
    )


def _decoded(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DeviceError(
            f"The device's description of itself is damaged: {error}.", hint="Try again.", transient=True
        ) from None


def _no_facts(done: Completed) -> DeviceError:
    words = _harmless(done.stderr.decode(errors="replace")[-_TEXT:].strip().splitlines()) or ["no word of why"]
    return DeviceError(
        f"The device did not describe itself: exit {done.returncode}, {words[-1]}",
        hint="edgekit needs Python 3.6 or newer there; name another: ssh://…?python=/path/to/python3",
    )


def _harmless(value: Any) -> Any:
    """The same with control characters gone from its texts, and the longest texts cut."""
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else " " for letter in value[:_TEXT]).strip()
    if isinstance(value, Mapping):
        return {_harmless(key): _harmless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    return value


class _Probe:
    def describe(self, link: Link) -> DeviceFacts:
        """See `describe`."""
        return describe(link)


PROBE: Probe = _Probe()
"""Found by `edgekit.catalog`."""
