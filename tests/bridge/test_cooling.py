"""What a device says of its state, and waiting until it is cool."""

from collections.abc import Callable, Iterator

import pytest

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.protocols import Link
from edgekit.run import Schedule
from edgekit_bridge.harness import cooling
from edgekit_bridge.harness.cooling import cool_down
from edgekit_bridge.probe.state import moving_state, read_state, warmth
from fakes import Recorder
from peers.android import Android

COOL = Schedule(cooldown_c=35)


@pytest.fixture
def link() -> Iterator[Link]:
    """A link to this machine."""
    with catalog.transport("local").open(parse_device("local:"), timeout_s=10) as opened:
        yield opened


def cooled(link: Link, schedule: Schedule, then: Callable[[int], None]) -> tuple[list[float], list[str]]:
    """Cool down, with this happening in each wait; gives the waits and what was said."""
    waits: list[float] = []
    heard = Recorder()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        then(len(waits))

    cool_down(link, schedule, heard, sleep=sleep)
    return waits, heard.titles


class TestState:
    def test_a_phone(self, link: Link, android: Android) -> None:
        """Battery and skin, in Android's words."""
        android.battery(level=42, status=2, tenths=305)
        android.skin(36.5, status=2)
        state = moving_state(link)
        assert (state.battery_percent, state.charging, state.thermal_status) == (42, True, 2)
        assert state.temperature_c is not None
        assert (state.temperature_c["battery"], state.temperature_c["skin"]) == (30.5, 36.5)
        assert warmth(state) == ("skin", 36.5)

    def test_a_computer(self, link: Link) -> None:
        """Says nothing of battery and skin."""
        state = moving_state(link)
        assert (state.battery_percent, state.charging, state.thermal_status) == (None, None, None)
        assert state.load1 is not None

    @pytest.mark.parametrize(
        "words",
        [
            b"", b"Can't find service: battery", b"  level: many\n  temperature: \x1b[2J\n  status: 9999999999999\n",
            b"Thermal Status: x\nCurrent temperatures from HAL:\nTemperature{mValue=1.2.3, mType=3", b"\xff\xfe",
        ],
    )  # fmt: skip
    def test_what_no_android_says(self, words: bytes) -> None:
        """Is unknown."""
        state = read_state(b"\n@edgekit@ =battery\n" + words + b"\n@edgekit@ =thermal\n" + words)
        assert (state.battery_percent, state.thermal_status, state.temperature_c) == (None, None, None)


class TestCooling:
    def test_nobody_asks(self, link: Link, android: Android) -> None:
        """Then nobody waits."""
        android.skin(60)
        assert cooled(link, Schedule(), lambda _: None) == ([], [])

    def test_it_gets_cool(self, link: Link, android: Android) -> None:
        """As long as it takes, and with the temperature told."""
        android.skin(36.5)
        waits, said = cooled(link, COOL, lambda count: android.skin(36.5 - count))
        assert len(waits) == 2
        assert said == [
            "cool down: skin is at 36.5 °C, 35 °C is asked for",
            "cool down: skin is at 35.5 °C, 35 °C is asked for",
        ]

    def test_it_does_not(self, link: Link, android: Android) -> None:
        """Then it goes on, and says so."""
        android.skin(40)
        waits, said = cooled(link, COOL, lambda _: None)
        assert sum(waits) == cooling.LONGEST_S
        assert said[-1] == "go on at 40.0 °C: it does not get cooler"

    def test_no_sensor(self, link: Link, android: Android, monkeypatch: pytest.MonkeyPatch) -> None:
        """By time, and says so."""
        android.tell("battery", "")
        android.tell("thermalservice", "")
        monkeypatch.setattr("edgekit_bridge.harness.on_device.cpu_state", lambda root: {"load1": 0.0} if root else {})
        waits, said = cooled(link, COOL, lambda _: None)
        assert sum(waits) == cooling.BLIND_S
        assert said == ["no sensor can be read there: let it cool for 60 s"]
