"""Pushes over links that are cut, devices that are killed or full or hang, and networks that are bad.

`scripts/test -m faults` runs these alone; among all other tests each is tried a fifth as often. Each that failed is
tried again, as a user would; what is in use on the device is whole all the while.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from edgekit import catalog
from edgekit.artifact import Artifact
from edgekit.deployment import push
from edgekit.device import parse_device
from edgekit.errors import DeviceError
from edgekit_bridge.update import deliver
from edgekit_bridge.update.chunking import LONGEST
from edgekit_bridge.virtual import record
from edgekit_bridge.virtual.board import tell_board
from models.linear import MakePayload
from peers.openssh import SshServer
from peers.proxy import Proxy, until_done

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.peer]

CUTS: Final = 120
KILLS: Final = 60
FILLS: Final = 20

Tries = Callable[[int], int]

BYTES: Final = 1_000_000

CONVERSATION: Final = 64 << 10
"""What SSH itself and the lists of chunks take for one try, bytes."""

RATE: Final = 4e6
"""A network that the device keeps up with, bytes a second: what it has not yet read when the link breaks is lost."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other quickly."""
    monkeypatch.setattr(deliver, "_PAUSE_S", 0.02)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a version but the recipe."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".recipe"}


class Device:
    """A device behind the real server whose folder we can look into."""

    def __init__(self, server: SshServer, home: Path) -> None:
        self.server = server
        self.home = home
        self.url = self.at(server.port)

    def at(self, port: int) -> str:
        """Its URL by way of a proxy."""
        return f"{self.server.url_at('127.0.0.1', port)}?home={self.home}"

    def current(self) -> dict[str, bytes]:
        """What is in use."""
        return content(self.home / "artifacts/payload/current")

    def settles(self) -> bool:
        """Nothing is left of unfinished pushes."""
        return not list(self.home.glob("artifacts/*/incoming/*"))


@pytest.fixture
def device(ssh_server: SshServer, ssh_device: str, tmp_path: Path) -> Device:
    """A device with a home of its own."""
    assert ssh_device
    return Device(ssh_server, tmp_path / "device")


def test_links_cut_at_random_bytes(device: Device, make_payload: MakePayload, tries: Tries) -> None:
    """Always the right bytes in the end, never half of a version, and no more than a chunk is sent twice."""
    chance = random.Random(1)  # noqa: S311 - not for secrets
    old = make_payload(chance.randbytes(10_000))
    push(old, device=device.url)
    for _ in range(tries(CUTS)):
        new = make_payload(chance.randbytes(BYTES))
        with Proxy(device.server.port, rate=RATE) as proxy:
            proxy.cut_after(chance.randrange(BYTES + CONVERSATION))
            allowed = (content(old.path), content(new.path))
            until_done(lambda: push(new, device=device.at(proxy.port)), lambda: check_whole(device, allowed))  # noqa: B023
            assert proxy.forth_bytes < BYTES + LONGEST + 2 * CONVERSATION
        assert device.current() == content(new.path)
        assert device.settles()
        old = forget(old, new)


def check_whole(device: Device, allowed: tuple[dict[str, bytes], ...]) -> None:
    """Whatever happened, one of these is in use."""
    assert device.current() in allowed


def forget(old: Artifact, new: Artifact) -> Artifact:
    """Keep the disk small; gives the new one."""
    shutil.rmtree(old.path)
    return new


def test_killed_on_the_device_at_random_times(device: Device, make_payload: MakePayload, tries: Tries) -> None:
    """Any process of the push there, by SIGKILL: a shell, what it runs, or the server's own."""
    chance = random.Random(2)  # noqa: S311 - not for secrets
    old = make_payload(chance.randbytes(10_000))
    push(old, device=device.url)
    killed = 0
    for _ in range(tries(KILLS)):
        new = make_payload(chance.randbytes(BYTES))
        allowed = (content(old.path), content(new.path))
        killer = threading.Timer(chance.uniform(0.1, 0.7), kill_one, (device.server.pid, chance))
        killer.start()
        killed += until_done(lambda: push(new, device=device.url), lambda: check_whole(device, allowed))  # noqa: B023
        killer.join()
        assert device.current() == content(new.path)
        old = forget(old, new)
    assert killed > tries(KILLS) / 10


def kill_one(server: int, chance: random.Random) -> None:
    """Kill one of a server's descendants."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {server}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    if victims := sorted(family - {server}):
        try:
            os.kill(chance.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            return


@pytest.fixture
def small_disk(device: Device) -> Iterator[Path]:
    """A file system of 4 MB as the device's home."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    device.home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(device.home)], check=True)
    yield device.home
    subprocess.run(["umount", "-l", str(device.home)], check=True)


def test_disks_that_fill_up_meanwhile(
    device: Device, small_disk: Path, make_payload: MakePayload, tries: Tries
) -> None:
    """Told in so many words; when there is space again, the next push does."""
    chance = random.Random(3)  # noqa: S311 - not for secrets
    old = make_payload(chance.randbytes(10_000))
    push(old, device=device.url, keep=1)
    told = 0
    for _ in range(tries(FILLS)):
        new = make_payload(chance.randbytes(BYTES))
        filler = threading.Timer(chance.uniform(0.1, 0.4), fill, (small_disk / "filler",))
        filler.start()
        try:
            push(new, device=device.url, keep=1)
        except DeviceError as error:
            told += "No space left" in error.cause
            check_whole(device, (content(old.path), content(new.path)))
        filler.join()
        (small_disk / "filler").unlink()
        push(new, device=device.url, keep=1)
        assert device.current() == content(new.path)
        old = forget(old, new)
    assert told > tries(FILLS) / 10


def fill(file: Path) -> None:
    """Leave no byte free."""
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return


@pytest.mark.parametrize(("delay_s", "rate"), [(0.05, 0.0), (0.0, 20e6 / 8)], ids=["50 ms away", "20 Mbit/s"])
def test_slow_networks(delay_s: float, rate: float, device: Device, make_payload: MakePayload) -> None:
    """It takes longer, and arrives."""
    artifact = make_payload(random.Random(4).randbytes(BYTES))  # noqa: S311 - not for secrets
    with Proxy(device.server.port, delay_s=delay_s, rate=rate) as proxy:
        push(artifact, device=device.at(proxy.port))
    assert device.current() == content(artifact.path)


LOSSY: Final = """
set -e
ip link set lo mtu 1500 up
nft add table inet edgekit
nft add chain inet edgekit input '{ type filter hook input priority 0; }'
nft add rule inet edgekit input tcp dport $1 numgen random mod 100 '<' 5 counter drop
nft add rule inet edgekit input tcp sport $1 numgen random mod 100 '<' 5 counter drop
"$2" -D -f "$3" &
sleep 0.5
"$4" push "$5" --device "$6"
nft list ruleset
kill %1
"""


def test_a_network_that_loses_packets(device: Device, make_payload: MakePayload) -> None:
    """Every twentieth packet each way, in a network of the test's own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("nft", "ip", "unshare"))):
        pytest.skip("needs root, and Debian's nftables and iproute2")
    artifact = make_payload(random.Random(5).randbytes(BYTES))  # noqa: S311 - not for secrets
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    edgekit = Path(sys.executable).with_name("edgekit")
    words = [device.server.port, sshd, device.server.folder / "sshd_config", edgekit, artifact.path, device.url]
    argv = ["unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", LOSSY, "sh", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "counter packets 0 " not in done.stdout
    assert device.current() == content(artifact.path)


def test_a_device_that_hangs_is_given_up(counter: str) -> None:
    """A whole board whose processor stops: 15 s of silence end the connection, and it is there again afterwards."""
    board = record.load("counter")
    with catalog.transport("virtual").open(parse_device(counter), timeout_s=20) as link:
        timer = threading.Timer(1, tell_board, (board, "stop"))
        timer.start()
        start = time.monotonic()
        try:
            with pytest.raises(DeviceError, match="broke"):
                link.run(["sleep", "100000"], timeout_s=120)
            assert 10 < time.monotonic() - start < 40
        finally:
            timer.join()
            tell_board(board, "cont")
    with catalog.transport("virtual").open(parse_device(counter), timeout_s=60) as link:
        assert link.run(["uname", "-m"], timeout_s=60).stdout == b"aarch64\n"
