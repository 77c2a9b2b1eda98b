"""What the host makes of a harness that does not answer as it should."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.device import parse_device
from edgekit.errors import MeasurementError
from edgekit.target import RuntimeFact, TargetProfile
from edgekit_bridge.harness.exchange import Exchange
from edgekit_bridge.harness.on_device import HARNESS_VERSION
from edgekit_bridge.transports.local import TRANSPORT

HELLO = "print({}, flush=True)".format(repr(f'{{"event": "hello", "harness": "{HARNESS_VERSION}"}}'))


class Answer(msgspec.Struct):
    """What these harnesses answer."""

    value: int


class TestExchange:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, target: TargetProfile) -> None:
        self.folder = tmp_path
        self.target = target
        self.log = tmp_path / "logs" / "run.log"
        self.advances: list[float] = []

    def ask(self, program: str, *, timeout_s: float = 30) -> Answer:
        """Send a job to a harness that is this program."""
        harness = self.folder / "harness.py"
        harness.write_text(program)
        with TRANSPORT.open(parse_device("local:"), timeout_s=5) as link:
            local = parse_device("local:")
            exchange = Exchange(link=link, harness=str(harness), target=self.target, device=local, log=self.log)
            job: dict[str, Any] = {"format": "tflite"}
            return exchange.ask(job, Answer, timeout_s=timeout_s, advance=self.advances.append)

    def failure(self, program: str, *, timeout_s: float = 30) -> MeasurementError:
        """The error that this harness leads to."""
        with pytest.raises(MeasurementError) as caught:
            self.ask(program, timeout_s=timeout_s)
        return caught.value

    def test_result(self) -> None:
        """The result is given; a greeting before it is passed over; progress adds up to one."""
        program = f"""
print("Welcome to Debian!")
{HELLO}
print('{{"event": "progress", "done": 0.25}}')
print('{{"event": "result", "value": 7}}')
"""
        assert self.ask(program) == Answer(7)
        assert self.advances == [0.25, 0.75]
        assert not self.log.exists()

    def test_other_version(self) -> None:
        """A harness of another version is refused before it measures."""
        error = self.failure('print(\'{"event": "hello", "harness": "0.1"}\', flush=True)\nimport time; time.sleep(60)')
        assert "has version 0.1" in error.cause
        assert HARNESS_VERSION in error.cause

    @pytest.mark.parametrize(
        ("name", "hint"), [("SIGKILL", "memory"), ("SIGILL", "newer CPU"), ("SIGSEGV", "another version")]
    )
    def test_signal(self, name: str, hint: str) -> None:
        """A harness that a signal ended is told by the signal, with what usually sends it and where it was."""
        error = self.failure(
            f"""
import os, signal
print('{{"event": "phase", "phase": "load"}}', flush=True)
os.kill(os.getpid(), signal.{name})
"""
        )
        assert f"ended by {name} (load)" in error.cause
        assert hint in error.hint

    def test_no_word(self) -> None:
        """A harness that ends without a result is quoted, and what it wrote is kept."""
        error = self.failure("import sys; print('half a li'); sys.exit('the disk is on fire')")
        assert "ended with 1 and no result" in error.cause
        assert "the disk is on fire" in error.cause
        assert error.log == self.log
        assert b"half a li" in self.log.read_bytes()

    def test_unreadable_result(self) -> None:
        """A result of another form is not taken."""
        error = self.failure('print(\'{"event": "result", "value": "many"}\')')
        assert "cannot be read" in error.cause
        assert error.log == self.log

    def test_missing_runtime(self) -> None:
        """A missing runtime comes with the command that installs what the target's profile names."""
        fact = RuntimeFact(format="tflite", package="tflite-runtime", version=">=2.5,<2.15")
        self.target = msgspec.structs.replace(self.target, runtimes=(fact,))
        error = self.failure('print(\'{"event": "error", "kind": "no-runtime", "message": "There is none."}\')')
        assert error.cause == "There is none."
        assert error.hint.endswith("-m pip install 'tflite-runtime>=2.5,<2.15'")

    def test_time_limit(self) -> None:
        """A harness that hangs is stopped, and where it hung is told."""
        error = self.failure(
            'print(\'{"event": "phase", "phase": "import"}\', flush=True)\nimport time; time.sleep(60)', timeout_s=1
        )
        assert "did not finish (import)" in error.cause
