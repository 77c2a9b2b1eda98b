"""Runs jobs in worker processes: clean environment, silenced frameworks, a time limit, nothing left behind.

A crash, a kill for memory or a hang in a framework becomes one `ConversionError` that says what was going on; the
frameworks' full output is kept in a log that the error names. Ctrl-C ends the worker and everything it started.
"""

import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgekit.crash import crash_site
from edgekit.errors import ConversionError, EdgekitError, UsageError
from edgekit.jobs import Event, Failed, Job, StepBegan
from edgekit.limits import Limits, ran_out_of_memory
from edgekit.paths import cache_folder
from edgekit.protocols import Progress

_QUIET: Final = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "ignore",
}
"""Less noise, and the CPU alone: conversion must not depend on the GPU that happens to be here."""

_TAIL: Final = 1 << 16
"""Bytes at the end of a log in which the reason is looked for: a traceback of many threads is long."""

_KINDS: Final[dict[str, type[EdgekitError]]] = {"usage": UsageError, "conversion": ConversionError}


class WorkerCrashed(ConversionError):  # noqa: N818 - reads as what happened
    """The worker ended before it had told the outcome of its job."""


def failure(event: Failed, log: Path) -> EdgekitError:
    """The error that a worker reported; only a conversion's own output is worth reading."""
    kind = _KINDS[event.kind]
    return kind(event.cause, hint=event.hint, log=log if kind is ConversionError else None)


class Worker:
    """One worker process at work.

    Attributes:
        log: What the frameworks printed; removed at the end unless `keep_log` is set.
        keep_log: Whether something went wrong.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", events: int, log: Path, limits: Limits) -> None:
        self.log = log
        self.keep_log = False
        self._process = process
        self._events = events
        self._deadline = time.monotonic() + limits.timeout_s
        self._limits = limits

    def events(self, progress: Progress) -> Iterator[Event]:
        """What the worker tells, steps shown as progress.

        Raises:
            EdgekitError: All of the job failed.
            WorkerCrashed: The worker ended by a signal, or ran out of time.
        """
        decoder = msgspec.json.Decoder(Event)
        title = "start"
        with ExitStack() as step:
            for line in self._lines():
                event = decoder.decode(line)
                if isinstance(event, StepBegan):
                    step.close()
                    title = event.title
                    step.enter_context(progress.step(title))
                    continue
                self.keep_log |= isinstance(event, Failed)
                if isinstance(event, Failed) and event.place is None:
                    raise failure(event, self.log)
                yield event
        self._check_end(title)

    def _lines(self) -> Iterator[bytes]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._events, selectors.EVENT_READ)
            rest = b""
            while True:
                if not selector.select(max(0.0, self._deadline - time.monotonic())):
                    raise self._crashed(
                        f"took longer than {self._limits.timeout_s:.0f} s",
                        "Give it more: --timeout SECONDS. A model may also hold a loop that never ends.",
                    )
                chunk = os.read(self._events, 1 << 16)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines

    def _check_end(self, title: str) -> None:
        code = self._process.wait()
        if code == 0:
            return
        if code == -signal.SIGKILL:
            raise self._crashed(f"was killed during '{title}', most likely for memory", "Close other programs.")
        if code < 0 and ran_out_of_memory(_end_of(self.log)):
            raise self._crashed(
                f"ran out of memory during '{title}': {self._limits.memory / 1e9:.1f} GB are allowed",
                "Allow more: --memory-limit 16G. A model may also ask for more than any machine has.",
            )
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        site = crash_site(_end_of(self.log))
        raise self._crashed(
            f"crashed during '{title}' ({reason}){' ' if site else ''}{site}",
            "A framework's operator did it, and no Python code can keep it from that: replace it, or take another "
            "format or precision.",
        )

    def _crashed(self, what: str, hint: str) -> WorkerCrashed:
        self.keep_log = True
        return WorkerCrashed(f"The conversion {what}.", hint=hint, log=self.log)


@contextmanager
def worker(job: Job, environment: Mapping[str, str], limits: Limits | None = None) -> Iterator[Worker]:
    """A worker process for one job; ended with everything it started when the block is left."""
    limits = limits or Limits()
    log = _new_log()
    scratch = Path(tempfile.mkdtemp(prefix="edgekit-worker-"))
    (scratch / "job.json").write_bytes(msgspec.json.encode(job))
    read, write = os.pipe()
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgekit.worker", str(scratch / "job.json"), str(write)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(write,),
                env={**os.environ, **_QUIET, **environment, "TMPDIR": str(scratch), "PYTHONPATH": _python_path()},
                start_new_session=True,
            )
        os.close(write)
        write = -1
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (limits.memory, limits.memory))
        running = Worker(process, read, log, limits)
        try:
            yield running
        finally:
            _end(process)
            if not running.keep_log:
                log.unlink(missing_ok=True)
    finally:
        for descriptor in (read, write):
            if descriptor >= 0:
                os.close(descriptor)
        shutil.rmtree(scratch, ignore_errors=True)


def _python_path() -> str:
    """The worker imports what this process can import, from wherever it was started."""
    return os.pathsep.join(path for path in sys.path if path)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().decode("utf-8", "replace")


def _new_log() -> Path:
    folder = cache_folder() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), suffix=".log", dir=folder)
    os.close(descriptor)
    return Path(name)
