"""A board by its serial console: logging in, bad lines, and what stays behind."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from edgekit.device import parse_device
from edgekit.errors import DeviceError, UsageError
from edgekit.progress import SilentProgress
from edgekit.protocols import Link
from edgekit_bridge.console.cksum import cksum
from edgekit_bridge.transports.serial_console import TRANSPORT
from peers.console import USER, Console
from peers.uboot import UBootBoard
from peers.wire import Fickle, Spoil, unspoilt

pytestmark = pytest.mark.slow

MakeConsole = Callable[..., Console]

SILENT = SilentProgress()


def spoils(every: int) -> Spoil:
    """A line that changes one byte in so many of what is sent to the board."""
    seen = [0]

    def spoil(data: bytes) -> bytes:
        start, seen[0] = seen[0], seen[0] + len(data)
        return bytes(byte ^ 1 if (start + place) % every == every - 1 else byte for place, byte in enumerate(data))

    return spoil


def test_the_checksum_is_posix() -> None:
    """As `printf 123456789 | cksum` tells it."""
    assert (cksum(b""), cksum(b"123456789")) == (4294967295, 930766865)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("serial-console:", "names no serial port"),
        ("serial-console:/dev/ttyUSB0?baud=fast", "baud rate"),
        ("serial-console:/dev/ttyUSB0?user=root", "option 'user'"),
    ],
)
def test_a_url_that_is_wrong(url: str, cause: str) -> None:
    """Is refused before a port is opened."""
    with pytest.raises(UsageError, match=cause), TRANSPORT.open(parse_device(url), timeout_s=1):
        pass


def test_a_port_that_is_not_there() -> None:
    """Is named."""
    with (
        pytest.raises(DeviceError, match="There is no /dev/ttyNONE"),
        TRANSPORT.open(parse_device("serial-console:/dev/ttyNONE"), timeout_s=1),
    ):
        pass


@pytest.mark.peer
class TestLogin:
    def test_a_wrong_password(self, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is told, and where it comes from; it is said nowhere."""
        monkeypatch.setenv("EDGEKIT_CONSOLE_PASSWORD", "guessed wrong")
        url = parse_device(f"{make_console().url}&login={USER}")
        with pytest.raises(DeviceError, match="did not let edge in") as caught, TRANSPORT.open(url, timeout_s=20):
            pass
        assert "EDGEKIT_CONSOLE_PASSWORD" in caught.value.hint
        assert "guessed" not in f"{caught.value.cause}{caught.value.hint}"

    def test_nobody_said_who(self, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch) -> None:
        """The board asks, and so does the message; the same for a password that is not there."""
        with (
            pytest.raises(DeviceError, match="asks who logs in") as caught,
            TRANSPORT.open(parse_device(make_console().url), timeout_s=20),
        ):
            pass
        assert "?login=" in caught.value.hint
        monkeypatch.delenv("EDGEKIT_CONSOLE_PASSWORD")
        monkeypatch.setattr("sys.stdin", StringIO())
        url = parse_device(f"{make_console().url}&login={USER}")
        with pytest.raises(DeviceError, match="asks for the password"), TRANSPORT.open(url, timeout_s=20):
            pass

    def test_twice_and_nothing_stays(self, make_console: MakeConsole) -> None:
        """Whoever logged in logs out: the next one logs in anew. No process of ours is left, whatever it did."""
        console = make_console()
        url = parse_device(f"{console.url}&login={USER}")
        for _ in range(2):
            with TRANSPORT.open(url, timeout_s=20) as link:
                told = link.run(["sh", "-c", 'sleep 99 & echo "$HOME"; kill $!'], timeout_s=20)
                assert told.stdout.decode() == f"{console.home}\n"
        assert (console.home.parent / "logins").read_text().split() == [USER, USER]
        deadline = time.monotonic() + 5
        while (left := self.living(console.home)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == []

    @staticmethod
    def living(home: Path) -> list[str]:
        """What runs with this home."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"HOME={home}".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text())
        return found

    def test_nobody_answers(self, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch) -> None:
        """At a line that carries nothing."""
        monkeypatch.setattr("edgekit_bridge.console.login._THINKS_S", 0.5)
        url = parse_device(f"{make_console(lambda _: b'').url}&login={USER}")
        with pytest.raises(DeviceError, match="No shell answers") as caught, TRANSPORT.open(url, timeout_s=2):
            pass
        assert "?baud=" in caught.value.hint

    def test_uboot_is_not_linux(self, uboot_board: UBootBoard) -> None:
        """It has an `echo` too; what to do then is said."""
        url = parse_device(uboot_board.url.replace("serial:", "serial-console:"))
        with pytest.raises(DeviceError, match="U-Boot answers") as caught, TRANSPORT.open(url, timeout_s=20):
            pass
        assert "--method ymodem" in caught.value.hint


@pytest.mark.peer
class TestBadLines:
    @pytest.mark.parametrize("every", [4001, 20011])
    def test_files_are_right_all_the_same(self, every: int, make_console: MakeConsole, tmp_path: Path) -> None:
        """A byte in so many is another on its way there: the piece goes again."""
        line = Fickle()
        console = make_console(line)
        url = parse_device(f"{console.url.replace('3000000', '9600')}&login={USER}&home={tmp_path / 'there'}")
        sent = tmp_path / "sent"
        sent.write_bytes(os.urandom(10_000))
        with TRANSPORT.open(url, timeout_s=20) as link:
            line.way = spoils(every)
            link.push(sent, link.home() / "file", SILENT)
            link.pull(link.home() / "file", tmp_path / "back", SILENT)
            line.way = unspoilt
        assert (tmp_path / "back").read_bytes() == sent.read_bytes()
        assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]

    def test_a_line_that_is_cut(self, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is told within seconds, as something that may pass; when it has passed, work goes on, at the same shell."""
        monkeypatch.setattr("edgekit_bridge.console.session._SILENCE_S", 0.2)
        line = Fickle()
        console = make_console(line)
        with TRANSPORT.open(parse_device(f"{console.url}&login={USER}"), timeout_s=20) as link:
            line.way = lambda _: b""
            with pytest.raises(DeviceError, match="does not answer any more") as caught:
                link.run(["true"], timeout_s=20)
            line.way = unspoilt
            assert link.run(["echo", "here again"], timeout_s=20).stdout == b"here again\n"
        assert caught.value.transient
        assert (console.home.parent / "logins").read_text().split() == [USER]

    def test_a_push_that_is_cut_leaves_nothing(
        self, make_console: MakeConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was there stays; what lies beside it goes with the next push."""
        monkeypatch.setattr("edgekit_bridge.console.session._SILENCE_S", 0.2)
        line = Fickle()
        url = parse_device(f"{make_console(line).url}&login={USER}&home={tmp_path / 'there'}")
        sent = tmp_path / "sent"
        sent.write_bytes(os.urandom(400_000))

        def cut(data: bytes) -> bytes:
            return b"" if len(data) > 1000 else data

        with TRANSPORT.open(url, timeout_s=20) as link:
            line.way = cut
            with pytest.raises(DeviceError, match="does not answer any more"):
                link.push(sent, link.home() / "file", SILENT)
            line.way = unspoilt
            link.push(sent, link.home() / "file", SILENT)
        assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]
        assert (tmp_path / "there" / "file").read_bytes() == sent.read_bytes()

    def test_the_kernel_talks_in_between(self, make_console: MakeConsole) -> None:
        """What others write to the console is passed over, or the answer asked for again."""
        console = make_console()
        with TRANSPORT.open(parse_device(f"{console.url}&login={USER}"), timeout_s=20) as link:
            chatter = "for i in 1 2 3 4 5 6 7 8 9; do echo '[ 12.3] usb 1-1: new device' >\"$1\"; sleep 0.05; done"
            tty = self.tty(link)
            done = link.run(["sh", "-c", f"({chatter}) & seq 2000; wait", "sh", tty], timeout_s=30)
            assert done.stdout == "".join(f"{number}\n" for number in range(1, 2001)).encode()

    @staticmethod
    def tty(link: Link) -> str:
        """The console's device, which programs of ours do not have open."""
        find = 'for fd in /proc/[0-9]*/fd/0; do readlink "$fd"; done 2>/dev/null | grep /dev/pts/ | tail -1'
        return link.run(["sh", "-c", find], timeout_s=20).stdout.decode().strip()


@pytest.mark.peer
def test_two_at_once(console_device: str) -> None:
    """Programs run side by side: a lock is held by one while others come and go."""
    ours, theirs = os.pipe()
    heard: list[bytes] = []
    with TRANSPORT.open(parse_device(console_device), timeout_s=20) as link:

        def hold() -> None:
            link.run(["sh", "-c", "echo held; cat"], stdin=ours, timeout_s=30, on_line=heard.append)

        thread = threading.Thread(target=hold)
        thread.start()
        while not heard:
            time.sleep(0.05)
        assert link.run(["echo", "beside"], timeout_s=20).stdout == b"beside\n"
        os.write(theirs, b"through the first\n")
        os.close(theirs)
        thread.join(20)
    os.close(ours)
    assert heard == [b"held", b"through the first"]
