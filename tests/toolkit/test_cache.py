"""Two that ask for the same artifact do the work once; a lock ends with its process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit import fingerprint
from edgekit.cache import making
from edgekit.paths import cache_folder
from edgekit.progress import SilentProgress
from edgekit.protocols import Step

HOLDER = """
import sys, time
from edgekit.cache import making
from edgekit.progress import SilentProgress
with making({"a": "net", "b": "net"}, SilentProgress()):
    print("held", flush=True)
    sys.stdin.read()
"""


class _Heard(SilentProgress):
    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        self.titles.append(title)
        with super().step(title, total) as step:
            yield step


@pytest.fixture
def holder() -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that is making `a` and `b` until its input ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_waits_and_says_for_whom(holder: "subprocess.Popen[bytes]") -> None:
    """Until the first has ended; no lock file stays."""
    heard = _Heard()
    end = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill {holder.pid}"])
    start = time.monotonic()
    with making({"b": "net-tflite-int8"}, heard):
        assert time.monotonic() - start > 0.2
    assert heard.titles == ["net-tflite-int8: wait for another edgekit that is making it"]
    end.wait()


def test_other_artifacts_wait_for_nobody(holder: "subprocess.Popen[bytes]") -> None:
    """Each key has its own lock."""
    heard = _Heard()
    with making({"c": "other"}, heard):
        assert holder.poll() is None
    assert heard.titles == []


def test_a_lock_ends_with_its_process(holder: "subprocess.Popen[bytes]") -> None:
    """Killed outright, it holds nobody up; what it left counts for nothing."""
    holder.kill()
    holder.wait()
    assert list((cache_folder() / "locks").iterdir()) != []
    with making({"a": "net", "b": "net"}, SilentProgress()):
        pass
    assert list((cache_folder() / "locks").iterdir()) == []


def test_ctrl_c_ends_the_waiting(holder: "subprocess.Popen[bytes]") -> None:
    """At once, and the one that works goes on."""
    waiter = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    os.kill(waiter.pid, signal.SIGINT)
    _, stderr = waiter.communicate(timeout=10)
    assert b"KeyboardInterrupt" in stderr
    assert holder.poll() is None


def test_without_a_place_for_locks_work_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache that cannot be written costs the cache, no more."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "file"))
    with making({"a": "net"}, SilentProgress()):
        pass


def test_every_installed_package_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that no converter names, too: a user's factory may import it."""
    before = fingerprint.environment()
    (tmp_path / "timm-1.0.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    fingerprint.environment.cache_clear()
    assert fingerprint.environment() != before
    fingerprint.environment.cache_clear()
