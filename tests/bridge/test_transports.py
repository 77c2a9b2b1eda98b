"""What every transport must do; a new one joins by giving a device to reach."""

import os
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from edgekit import catalog
from edgekit.device import parse_device
from edgekit.errors import DeviceError
from edgekit.progress import SilentProgress
from edgekit.protocols import Link, Transport

PEERS = {"ssh": "ssh_device", "virtual": "pi4", "adb": "phone", "serial-console": "console_device"}
"""The fixture that gives a device's URL, for each transport that needs a peer."""

EMULATED = {"virtual", "adb"}

SILENT = SilentProgress()


def marks(scheme: str) -> list[pytest.MarkDecorator]:
    """A peer may be missing; an emulated one is slow as well."""
    return [*([pytest.mark.peer] if scheme in PEERS else []), *([pytest.mark.slow] if scheme in EMULATED else [])]


@pytest.fixture(params=[pytest.param(item, id=item.scheme, marks=marks(item.scheme)) for item in catalog.transports()])
def link(request: pytest.FixtureRequest) -> Iterator[Link]:
    """An open link of each transport."""
    transport: Transport = request.param
    peer = PEERS.get(transport.scheme)
    url = str(request.getfixturevalue(peer)) if peer else f"{transport.scheme}:"
    if transport.scheme == "adb":
        url += "?python=/usr/bin/python3"  # which no phone has on its path
    with transport.open(parse_device(url), timeout_s=10) as opened:
        yield opened


def python(link: Link, program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """What a Python program on the device writes."""
    return link.run([link.python(), "-c", program, *arguments], stdin=stdin, timeout_s=30).stdout


class TestRun:
    def test_arguments(self, link: Link) -> None:
        """Arguments arrive as they were given: no shell splits, expands or joins them."""
        odd = ["two words", "it's", '"quoted"', "$HOME", "*", "a;b", "", "ü\n"]
        told = python(link, "import json, sys; print(json.dumps(sys.argv[1:]))", *odd)
        assert __import__("json").loads(told) == odd

    def test_exit_code(self, link: Link) -> None:
        """The program's exit code comes back."""
        assert link.run([link.python(), "-c", "raise SystemExit(7)"], timeout_s=30).returncode == 7

    def test_both_outputs_apart(self, link: Link) -> None:
        """Standard output and standard error are kept apart, byte for byte."""
        program = "import os; os.write(1, b'out\\x00\\xff'); os.write(2, b'err')"
        done = link.run([link.python(), "-c", program], timeout_s=30)
        assert (done.stdout, done.stderr) == (b"out\x00\xff", b"err")

    def test_standard_input(self, link: Link) -> None:
        """The program reads what was given and then the end of the file."""
        assert python(link, "import sys; print(len(sys.stdin.buffer.read()))", stdin=b"x" * 300_000) == b"300000\n"

    def test_input_that_nobody_reads(self, link: Link) -> None:
        """A program that ends without reading its input is no error."""
        assert link.run([link.python(), "-c", "pass"], stdin=b"x" * 3_000_000, timeout_s=30).returncode == 0

    def test_much_of_everything(self, link: Link) -> None:
        """Megabytes through all three pipes at once do not block each other."""
        program = "import sys, os; os.write(2, b'e' * 3000000); sys.stdout.buffer.write(sys.stdin.buffer.read())"
        done = link.run([link.python(), "-c", program], stdin=b"i" * 3_000_000, timeout_s=30)
        assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)

    def test_lines_as_they_come(self, link: Link) -> None:
        """Lines are told while the program runs, whole, without their ends, the last one too."""
        heard: list[tuple[bytes, float]] = []
        program = "import sys, time; print('one', flush=True); time.sleep(0.6); sys.stdout.write('two\\n\\nthree')"
        link.run(
            [link.python(), "-c", program], timeout_s=30, on_line=lambda line: heard.append((line, time.monotonic()))
        )
        assert [line for line, _ in heard] == [b"one", b"two", b"", b"three"]
        assert heard[1][1] - heard[0][1] > 0.3

    def test_missing_program(self, link: Link) -> None:
        """A program that is not there is named."""
        with pytest.raises(DeviceError, match="no-such-program"):
            link.run(["no-such-program"], timeout_s=30)

    def test_time_limit(self, link: Link) -> None:
        """Past its time limit the program is stopped, with the children it started."""
        started: list[bytes] = []
        program = (
            "import subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)"
        )
        begin = time.monotonic()
        with pytest.raises(DeviceError, match="2 s"):
            link.run([link.python(), "-c", program], timeout_s=2, on_line=started.append)
        assert time.monotonic() - begin < 10
        assert not self.lives(link, int(started[0]))

    def test_listener_that_raises(self, link: Link) -> None:
        """Ctrl-C while waiting for a line ends the program and passes through."""
        started: list[bytes] = []

        def interrupt(line: bytes) -> None:
            started.append(line)
            raise KeyboardInterrupt

        program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
        with pytest.raises(KeyboardInterrupt):
            link.run([link.python(), "-c", program], timeout_s=30, on_line=interrupt)
        assert not self.lives(link, int(started[0]))

    @staticmethod
    def lives(link: Link, pid: int) -> bool:
        """Whether the process is there and no zombie; given a moment to go."""
        program = (
            "import sys, time\n"
            "for _ in range(20):\n"
            "    try:\n"
            "        state = open('/proc/' + sys.argv[1] + '/stat').read().rsplit(')')[1].split()[0]\n"
            "    except OSError:\n"
            "        state = 'gone'\n"
            "    if state in ('gone', 'Z'):\n"
            "        break\n"
            "    time.sleep(0.1)\n"
            "print(state)"
        )
        return python(link, program, str(pid)).strip() not in {b"gone", b"Z"}


class TestFiles:
    def test_there_and_back(self, link: Link, tmp_path: Path) -> None:
        """A file comes back as it went, through folders that were not there."""
        sent, back = tmp_path / "a b.bin", tmp_path / "new" / "back.bin"
        sent.write_bytes(os.urandom(3_000_001))
        remote = link.home() / "some folder" / "a b.bin"
        link.push(sent, remote, SILENT)
        link.pull(remote, back, SILENT)
        assert back.read_bytes() == sent.read_bytes()

    def test_push_replaces(self, link: Link, tmp_path: Path) -> None:
        """A push over an older file leaves the new one and nothing beside it."""
        sent = tmp_path / "file"
        remote = link.home() / "place" / "file"
        for content in (b"old, and longer", b"new"):
            sent.write_bytes(content)
            link.push(sent, remote, SILENT)
        told = python(
            link,
            "import os, sys; print(os.listdir(sys.argv[1]), open(sys.argv[2]).read())",
            str(remote.parent),
            str(remote),
        )
        assert told.strip() == b"['file'] new"

    def test_failed_push(self, link: Link, tmp_path: Path) -> None:
        """A push that fails leaves what was there."""
        sent = tmp_path / "file"
        sent.write_bytes(b"old")
        remote = link.home() / "place" / "file"
        link.push(sent, remote, SILENT)
        with pytest.raises(DeviceError):
            link.push(tmp_path / "missing", remote, SILENT)
        with pytest.raises(DeviceError):
            link.push(sent, remote / "below a file", SILENT)
        assert python(link, "import sys; print(open(sys.argv[1]).read())", str(remote)).strip() == b"old"

    def test_pull_of_nothing(self, link: Link, tmp_path: Path) -> None:
        """A file that is not there cannot be pulled, and leaves nothing here."""
        with pytest.raises(DeviceError, match="no-such-file"):
            link.pull(link.home() / "no-such-file", tmp_path / "here", SILENT)
        assert list(tmp_path.iterdir()) == []

    def test_home(self, link: Link) -> None:
        """The device's folder is absolute."""
        assert isinstance(link.home(), PurePosixPath)
        assert link.home().is_absolute()
