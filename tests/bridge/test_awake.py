"""A phone is kept awake while it is measured, and its user's settings come back whatever happens."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.protocols import Link
from edgekit_bridge.native.awake import awake, lasting
from peers.android import Android

BEFORE = {"system.screen_off_timeout": "30000", "wakefulness": "Asleep"}


@contextmanager
def opened() -> Iterator[Link]:
    """A link to this machine."""
    with catalog.transport("local").open(parse_device("local:"), timeout_s=10) as link:
        yield link


@pytest.fixture
def user(android: Android) -> Android:
    """A phone whose screen goes out after half a minute."""
    android.put("system.screen_off_timeout", "30000")
    return android


def test_settings_come_back(user: Android) -> None:
    """Also one that was not set before, and sleep."""
    with opened() as link, awake(link):
        assert user.settings == {
            "global.stay_on_while_plugged_in": "7",
            "system.screen_off_timeout": "1800000",
            "wakefulness": "Awake",
        }
    assert user.settings == BEFORE


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_they_come_back_after_a_failure(user: Android, error: type[BaseException]) -> None:
    """And after Ctrl-C."""
    with pytest.raises(error), opened() as link, awake(link):
        raise error
    assert user.settings == BEFORE


def test_one_that_was_awake_stays_awake(user: Android) -> None:
    """Somebody is using it."""
    user.tell("wakefulness", "Awake\n")
    with opened() as link, awake(link):
        pass
    assert user.settings["wakefulness"] == "Awake"


def test_a_link_that_is_lost(user: Android) -> None:
    """The phone itself ends it when the time is over that the last program was given."""
    with opened() as link:
        abandoned = awake(link)
        abandoned.__enter__()
        assert link.run(lasting(link, ["echo", "works"], -1), timeout_s=5).stdout == b"works\n"
        until = Path(link.home(), "awake.until")
        deadline = time.monotonic() + 30
        while until.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    assert user.settings == BEFORE


def test_the_next_one_makes_up_for_it(user: Android) -> None:
    """What was set first is what the user had, however often it was cut off."""
    with opened() as link:
        awake(link).__enter__()
        awake(link).__enter__()
        with awake(link):
            pass
        assert user.settings == BEFORE
        assert not list(Path(link.home()).glob("awake.*"))


def test_a_device_that_is_no_phone(tmp_path: Path) -> None:
    """Has nothing to set."""
    del tmp_path
    before = signal.getsignal(signal.SIGINT)
    with opened() as link, awake(link):
        assert not list(Path(link.home()).glob("awake.*"))
        done = link.run(lasting(link, ["sh", "-c", "exit 3"], 5), timeout_s=5)
    assert done.returncode == 3
    assert signal.getsignal(signal.SIGINT) is before
