"""The lock on a device: one works on it at a time, and nobody who is gone keeps others out."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import DeviceError
from edgekit.progress import SilentProgress
from edgekit.protocols import Link
from edgekit_bridge import guard
from fakes import Recorder

SILENT = SilentProgress()


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.peer)])
def device(request: pytest.FixtureRequest) -> str:
    """This machine, directly and behind a real SSH server."""
    return "local:" if request.param == "local" else str(request.getfixturevalue("ssh_device"))


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """One looks often whether the device is free."""
    monkeypatch.setattr(guard, "_POLL_S", 0.05)


@contextmanager
def opened(device: str) -> Iterator[Link]:
    """A link to a device."""
    url = parse_device(device)
    with catalog.transport(url.scheme).open(url, timeout_s=10) as link:
        yield link


@contextmanager
def held(device: str, purpose: str = "measure", wait_s: float = 0) -> Iterator[Path]:
    """Hold a device over a connection of its own; gives the lock's file."""
    with opened(device) as link, catalog.guard().hold(link, purpose, wait_s=wait_s, progress=SILENT):
        yield Path(link.home()) / "lock"


def test_one_at_a_time(device: str) -> None:
    """The other is told by whom it is held, and what for; afterwards it is free."""
    with held(device, "bench net") as lock:
        assert lock.is_file()
        with pytest.raises(DeviceError, match=r"is held by .+@.+, bench net, since \d\d:\d\d") as caught, held(device):
            pass
        assert caught.value.transient
    with held(device):
        pass


def test_a_process_forked_meanwhile_holds_nothing(device: str) -> None:
    """What it inherits, the end of a pipe too, does not keep the device from others."""
    with held(device):
        child = os.fork()
        if child == 0:
            time.sleep(300)
            os._exit(0)
    try:
        with held(device, wait_s=5):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_who_waits_gets_it(device: str) -> None:
    """As soon as it is free; who waits is told for whom."""
    free, progress = threading.Event(), Recorder()

    def second() -> None:
        with opened(device) as link, catalog.guard().hold(link, "second", wait_s=20, progress=progress):
            free.set()

    waiting = threading.Thread(target=second)
    with held(device, "first"):
        waiting.start()
        asked = time.monotonic() + 20
        while not progress.titles and time.monotonic() < asked:
            time.sleep(0.05)
        assert not free.wait(0.3)
    waiting.join()
    assert free.is_set()
    (title,) = progress.titles
    assert "first" in title


def test_it_is_let_go_of_when_work_fails(device: str) -> None:
    """By an error, or by Ctrl-C."""
    for error in (DeviceError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), held(device):
            raise error
        with held(device):
            pass


def holder(lock: Path) -> int:
    """The process that holds a lock."""
    found = [file for file in Path("/proc").glob("[0-9]*/fd/9") if file.samefile(lock)]
    return int(found[0].parts[2])


def test_a_holder_that_is_killed(device: str) -> None:
    """Whoever comes next gets the device; nobody has to tidy up."""
    with held(device) as lock:
        os.kill(holder(lock), signal.SIGKILL)
        with held(device):
            pass


def test_many_at_once(device: str) -> None:
    """Never two of them."""
    inside, most = [0], [0]
    count = threading.Lock()

    def work() -> None:
        with held(device, wait_s=30):
            with count:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            with count:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_home_that_cannot_be_written(ssh_device: str, tmp_path: Path) -> None:
    """Told as what it is."""
    (tmp_path / "device").write_text("")
    with pytest.raises(DeviceError, match="cannot be held"), held(ssh_device):
        pass
