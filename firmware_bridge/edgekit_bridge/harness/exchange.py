"""One job for the harness and its answer: sent on standard input, heard line by line (see `on_device.py`)."""

import shlex
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError, MeasurementError
from edgekit.protocols import Completed, Link
from edgekit.target import TargetProfile
from edgekit_bridge.harness import on_device
from edgekit_bridge.provision.needs import runtimes_for

T = TypeVar("T")

_PACKAGES: Final = {
    "tflite": "ai-edge-litert",
    "torchscript": "torch",
    "onnx": "onnxruntime",
    "ort": "onnxruntime",
    "savedmodel": "tensorflow",
    "executorch": "executorch",
}
"""What brings the runtime of a format, for a target whose profile names none."""

_HINTS: Final[Mapping[str, str]] = {
    "bad-model": "See whether it runs here with `edgekit verify`; else convert it again.",
    "bad-golden": "The artifact is damaged or not of this model: convert it again.",
    "delegate": "Leave --delegate out.",
    "operators": "Leave --operators out, or measure another format of the same model with it.",
    "engine": "Convert it for this device: `edgekit convert --target` names the engine.",
    "no-memory": "Use a smaller precision or model, or free memory on the device.",
    "clock": "A board that counts is one of ours: edgekit virtual start NAME --clock instructions; then measure with "
    "--clock instructions. Without both, time is measured.",
    "version": "Stage the artifact again: the harness on the device is another one.",
    "governor": "Log in as root; or let this login set it, until the next start of the device: "
    "sudo chmod a+w /sys/devices/system/cpu/cpufreq/policy*/scaling_governor; or set it by hand and leave --governor "
    "out: echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor",
    "no-governor": "Name another with --governor, or leave it out.",
    "affinity": "Name other cores with --cores, or leave it out.",
    "no-program": "Install it there, or put it on the PATH of this login.",
    "internal": "This is a fault of edgekit's harness; please report it with the log.",
}
"""The next step by the kind of an error that the harness told."""

_SIGNAL_HINTS: Final[Mapping[str, str]] = {
    "SIGKILL": "Linux kills what takes too much memory (see dmesg there): use a smaller model or precision.",
    "SIGILL": "The runtime on the device was built for a newer CPU: install a build for this one.",
    "SIGSEGV": "The runtime crashed on this model: try another version of it, or another precision.",
    "SIGABRT": "The runtime gave up on this model: try another version of it, or another precision.",
    "SIGBUS": "The model file could not be read while it ran: look at the device's storage.",
}
"""The next step by the signal that ended the harness."""

_RESTART_S: Final = 60.0
"""How long a device that broke the link is waited for, to learn whether it has started anew."""

_RETRY_S: Final = 2.0

_CALL_S: Final = 30.0

_KEPT_LINES: Final = 3
"""Lines of standard error that an error message quotes; the log has all."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """How jobs are sent: over which link, to which harness, for whom, and where a failure's log goes."""

    link: Link
    harness: str
    target: TargetProfile
    device: DeviceUrl
    log: Path

    def ask(self, job: Mapping[str, Any], answer: type[T], *, timeout_s: float, advance: Callable[[float], None]) -> T:
        """Send a job and wait for its result.

        Args:
            job: See `on_device.py`.
            answer: The type of the result.
            timeout_s: The longest that the harness may take.
            advance: Told how much of the job, of 1, is newly done.

        Raises:
            MeasurementError: There is no result; says why, and has a log.
        """
        listener = _Listener(advance)
        argv = [self.link.python(), self.harness, "-"]
        try:
            done = self.link.run(argv, stdin=msgspec.json.encode(job), timeout_s=timeout_s, on_line=listener.hear)
        except MeasurementError:
            raise
        except DeviceError as error:
            if error.transient and listener.boot_id and self._restarted(listener.boot_id):
                raise _restart(listener) from error
            cause = f"The harness did not finish ({listener.phase}): {error.cause}"
            raise MeasurementError(cause, hint=error.hint, transient=error.transient) from error
        if listener.result is None:
            raise self._failure(listener, done, str(job["format"]))
        try:
            return msgspec.convert(listener.result, answer)
        except msgspec.ValidationError as error:
            self._keep_log(done)
            cause = f"The harness gave a result that cannot be read: {error}."
            raise MeasurementError(cause, hint=_HINTS["internal"], log=self.log) from error

    def _restarted(self, boot_id: str) -> bool:
        """Whether the device has started anew since it said this; False when it stays away for `_RESTART_S`."""
        deadline = time.monotonic() + _RESTART_S
        while True:
            try:
                done = self.link.run(["cat", on_device.BOOT_ID], timeout_s=_CALL_S)
            except DeviceError as error:
                if not error.transient or time.monotonic() + _RETRY_S > deadline:
                    return False
                time.sleep(_RETRY_S)
            else:
                return done.returncode == 0 and done.stdout.decode(errors="replace").strip() != boot_id

    def _failure(self, listener: "_Listener", done: Completed, format_: str) -> MeasurementError:
        self._keep_log(done)
        if listener.error is None:
            return _death(listener, done, self.log)
        kind, message = listener.error
        hint = self._install(format_) if kind == "no-runtime" else _HINTS.get(kind, "")
        return MeasurementError(message, hint=hint, log=self.log)

    def _install(self, format_: str) -> str:
        if self.device.scheme != "local":
            best = next((need.name for need in runtimes_for(format_)), format_)
            return f"Install it there: edgekit provision {self.device} --runtime {best}"
        runtime = self.target.runtime_for(format_)
        package = f"{runtime.package}{runtime.version}" if runtime else _PACKAGES.get(format_, format_)
        command = shlex.join([self.link.python(), "-m", "pip", "install", package])
        return f"Install it on the device: {command}"

    def _keep_log(self, done: Completed) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(
            b"# standard output\n%s\n# standard error\n%s\n# exit %d\n" % (done.stdout, done.stderr, done.returncode)
        )


def _death(listener: "_Listener", done: Completed, log: Path) -> MeasurementError:
    """The harness ended without a word: name the signal, or quote what it wrote last."""
    name = _signal_name(done.returncode)
    if name:
        return MeasurementError(
            f"The harness was ended by {name} ({listener.phase}).", hint=_SIGNAL_HINTS.get(name, ""), log=log
        )
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    last = " | ".join(lines[-_KEPT_LINES:]) or "it wrote nothing to standard error"
    return MeasurementError(
        f"The harness ended with {done.returncode} and no result ({listener.phase}): {last}",
        hint="It needs Python 3.6 or newer on the device; the log has all that it wrote.",
        log=log,
    )


def _restart(listener: "_Listener") -> MeasurementError:
    return MeasurementError(
        f"The device restarted while it measured ({listener.phase}).",
        hint="Look at its power supply first, then at its temperature, then whether it ran out of memory "
        "(journalctl -b -1 -e, or dmesg); a smaller model or precision takes less of all three.",
    )


def _signal_name(returncode: int) -> str:
    """The signal behind an exit code: negative here, 128 + n through a shell (POSIX, exit status)."""
    number = -returncode if returncode < 0 else returncode - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


class _Listener:
    """Hears the harness's lines; passes over those that are not its own, such as a login's greeting."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self.phase = "start"
        self.boot_id = ""
        self.result: dict[str, Any] | None = None
        self.error: tuple[str, str] | None = None
        self._advance = advance
        self._done = 0.0

    def hear(self, line: bytes) -> None:
        try:
            event = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        match event.get("event"):
            case "hello":
                _same_version(event)
                self.boot_id = str(event.get("boot_id") or "")
            case "phase":
                self.phase = str(event.get("phase"))
            case "progress":
                self._reach(float(event.get("done", 0.0)))
            case "error":
                self.error = str(event.get("kind")), str(event.get("message"))
            case "result":
                self.result = event
                self._reach(1.0)

    def _reach(self, done: float) -> None:
        self._advance(max(0.0, done - self._done))
        self._done = max(done, self._done)


def _same_version(hello: Mapping[str, Any]) -> None:
    if hello.get("harness") != on_device.HARNESS_VERSION:
        raise MeasurementError(
            f"The harness on the device has version {hello.get('harness')}; this edgekit speaks "
            f"{on_device.HARNESS_VERSION}.",
            hint=_HINTS["version"],
        )
