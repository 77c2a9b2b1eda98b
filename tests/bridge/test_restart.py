"""A link that breaks while something is measured: whether the device has started anew is asked, and told."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import pytest

from edgekit.device import parse_device
from edgekit.errors import DeviceError, MeasurementError
from edgekit.protocols import Completed, Link, Progress
from edgekit.target import TargetProfile
from edgekit_bridge.harness import exchange as exchange_module
from edgekit_bridge.harness.exchange import Exchange
from edgekit_bridge.harness.on_device import HARNESS_VERSION
from edgekit_bridge.transports.local import TRANSPORT

PROGRAM = f"""
print('{{"event": "hello", "harness": "{HARNESS_VERSION}", "boot_id": "one"}}')
print('{{"event": "phase", "phase": "run"}}')
"""

BROKEN = DeviceError("The connection broke.", hint="Look at the network.", transient=True)


class Breaking:
    """This machine behind a link that breaks at the end of each program, and then gives these answers."""

    def __init__(self, link: Link, *answers: str | DeviceError) -> None:
        self._link = link
        self.answers = list(answers)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] | int = b"",
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run it and break; or answer who asks for the boot id."""
        if argv[0] != "cat":
            self._link.run(argv, stdin=stdin, timeout_s=timeout_s, on_line=on_line)
            raise BROKEN
        answer = self.answers.pop(0)
        if isinstance(answer, DeviceError):
            raise answer
        return Completed(returncode=0, stdout=f"{answer}\n".encode(), stderr=b"")

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Nothing is pushed."""
        raise NotImplementedError

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """Nor pulled."""
        raise NotImplementedError

    def python(self) -> str:
        """This one."""
        return sys.executable

    def home(self) -> PurePosixPath:
        """Nothing is kept."""
        raise NotImplementedError


@pytest.fixture
def broken(
    tmp_path: Path, target: TargetProfile, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[MeasurementError, Breaking]]:
    """The error that a measurement over such a link ends with, and the link."""
    monkeypatch.setattr(exchange_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(exchange_module, "_RESTART_S", 0.2)
    (tmp_path / "harness.py").write_text(PROGRAM)

    def measure(*answers: str | DeviceError) -> tuple[MeasurementError, Breaking]:
        with TRANSPORT.open(parse_device("local:"), timeout_s=5) as local:
            link = Breaking(local, *answers)
            asked = Exchange(
                link=link,
                harness=str(tmp_path / "harness.py"),
                target=target,
                device=parse_device("local:"),
                log=tmp_path / "log",
            )
            job: dict[str, Any] = {"format": "tflite"}
            with pytest.raises(MeasurementError) as caught:
                asked.ask(job, msgspec.Struct, timeout_s=30, advance=lambda _: None)
        return caught.value, link

    return measure


def test_a_restart_is_told(broken: Callable[..., tuple[MeasurementError, Breaking]]) -> None:
    """By another boot id; trying again would only lead to the next one."""
    error, _ = broken("two")
    assert error.cause == "The device restarted while it measured (run)."
    assert "power supply" in error.hint
    assert not error.transient


def test_a_device_that_is_still_starting_is_waited_for(
    broken: Callable[..., tuple[MeasurementError, Breaking]],
) -> None:
    """It refuses connections for a while."""
    error, link = broken(BROKEN, BROKEN, "two")
    assert "restarted" in error.cause
    assert link.answers == []


def test_a_link_that_only_broke_is_told_as_that(broken: Callable[..., tuple[MeasurementError, Breaking]]) -> None:
    """The same boot id: the device ran on."""
    error, _ = broken("one")
    assert error.cause == "The harness did not finish (run): The connection broke."
    assert (error.hint, error.transient) == (BROKEN.hint, True)


def test_a_device_that_stays_away_is_told_as_that(broken: Callable[..., tuple[MeasurementError, Breaking]]) -> None:
    """The time that it is given has an end, and nothing is claimed."""
    error, _ = broken(*[BROKEN] * 100)
    assert "The connection broke." in error.cause
    assert error.transient
