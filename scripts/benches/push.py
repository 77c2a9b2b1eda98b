"""Pushing to a real SSH server on loopback beside `ssh host 'cat > f'` and `scp`; updates; 32 devices at once."""

import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from alternating import Check, conclude

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from edgekit.artifact import Artifact
from edgekit.deployment import Pushed, push
from edgekit.protocols import Step
from models.linear import linear_artifact, payload_artifact, write_tflite
from peers import openssh
from peers.openssh import ADDRESSES, SshServer
from peers.proxy import Proxy

BYTES: Final = 100_000_000
ROUNDS: Final = 11
PLACES: Final = 20
DEVICES: Final = 32

_MIB: Final = 1 << 20


class Clock:
    """A progress display that only takes the time of each step, seconds."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:  # noqa: ARG002 - its protocol
        """Take the time from beginning to end."""
        start = time.perf_counter()
        yield _NoStep()
        self.taken[title.split(" ", maxsplit=1)[0]] = time.perf_counter() - start


class _NoStep:
    def advance(self, amount: float = 1) -> None:
        """Pass over it."""


class _Line:
    """A connection of the system's `ssh` that is open, and has carried nothing yet: as edgekit's is before it sends."""

    def __init__(self, server: SshServer, folder: Path) -> None:
        self._options = ["-F", str(server.folder / "ssh_config"), "-o", f"ControlPath={folder / 'socket'}"]
        self._port = str(server.port)
        argv = ["ssh", *self._options, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-p", self._port]
        subprocess.run([*argv, ADDRESSES[0], "true"], check=True, stderr=subprocess.DEVNULL)

    def cat(self, source: Path, place: Path) -> None:
        """`ssh host 'cat > f'`."""
        with source.open("rb") as stream:
            argv = ["ssh", *self._options, "-p", self._port, ADDRESSES[0], f"cat > {place}"]
            subprocess.run(argv, stdin=stream, check=True)

    def scp(self, source: Path, place: Path) -> None:
        """`scp f host:f`."""
        argv = ["scp", "-q", *self._options, "-P", self._port, str(source), f"{ADDRESSES[0]}:{place}"]
        subprocess.run(argv, check=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        argv = ["ssh", *self._options, "-O", "exit", "-p", self._port, ADDRESSES[0]]
        subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)


def seconds(work: Callable[[], object]) -> float:
    """How long that takes."""
    os.sync()  # what came before is on the disk, and not in the way
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _throughput(server: SshServer, artifact: Artifact, folder: Path) -> tuple[dict[str, float], list[Check]]:
    taken: dict[str, list[float]] = {name: [] for name in ("cat", "scp", "push", "whole", "again")}
    source = artifact.path / "model.tflite"

    def ours() -> None:
        home, clock = folder / f"home{len(taken['push'])}", Clock()
        url = f"{server.url}?home={home}"
        taken["whole"].append(seconds(lambda: push(artifact.path, device=url, progress=clock)))
        taken["push"].append(clock.taken["push"])
        taken["again"].append(seconds(lambda: push(artifact.path, device=url)))
        shutil.rmtree(home)

    def theirs() -> None:
        with _Line(server, folder) as line:
            taken["cat"].append(seconds(lambda: line.cat(source, folder / "by-cat")))
        with _Line(server, folder) as line:
            taken["scp"].append(seconds(lambda: line.scp(source, folder / "by-scp")))
        for name in ("by-cat", "by-scp"):
            (folder / name).unlink()

    for number in range(ROUNDS):
        for turn in (ours, theirs) if number % 2 else (theirs, ours):
            turn()
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return medians, [
        Check("push beside ssh host 'cat > f': throughput", medians["cat"] / medians["push"], float("inf"), 0.9),
        Check("push beside scp: throughput", medians["scp"] / medians["push"], float("inf"), 1.0),
        Check("the same artifact again, whole command", medians["again"], 1.0, unit="s"),
    ]


def updates(artifact: Artifact, folder: Path, port: int, url_at: Callable[[int], str]) -> list[Check]:
    """What travels of versions that differ little, past a proxy before a server's port."""
    data = (artifact.path / "model.tflite").read_bytes()
    tuned = bytearray(data)
    each = BYTES // 100 // PLACES
    for place in range(PLACES):
        start = place * (BYTES // PLACES) + 12_345
        tuned[start : start + each] = random.Random(place).randbytes(each)  # noqa: S311 - not for secrets
    versions = {"tuned": bytes(tuned), "inserted": b"a few bytes more" + data}
    with Proxy(port) as proxy:
        url = url_at(proxy.port)

        def passed(one: Artifact) -> int:
            before = proxy.forth_bytes + proxy.back_bytes
            push(one, device=url)
            return proxy.forth_bytes + proxy.back_bytes - before

        passed(artifact)
        again = passed(artifact)
        shares = {name: passed(payload_artifact(folder / name, data)) / BYTES for name, data in versions.items()}
    return [
        Check("the same artifact again, both ways on the wire", again / 1024, 64, unit="KiB"),
        Check(f"1 % changed at {PLACES} places: on the wire", shares["tuned"] * 100, 5, unit="%"),
        Check("an insertion at the front: on the wire", shares["inserted"] * 100, 5, unit="%"),
    ]


def _memory(server: SshServer, artifact: Artifact, folder: Path) -> list[Check]:
    """What a push of 100 MB takes beyond one of 10 kB, here and there."""
    small = payload_artifact(folder / "small", os.urandom(10_000), name="small")
    figures = {}
    for name, one in (("small", small), ("large", artifact)):
        url = f"{server.url}?home={folder / f'memory-{name}'}"
        with _watched(server.pid) as there:
            done = subprocess.run(
                [sys.executable, __file__, "--push", str(one.path), url], check=True, capture_output=True, text=True
            )
        figures[name] = (int(done.stdout), there[0])
    here, there_ = (large - little for large, little in zip(figures["large"], figures["small"], strict=True))
    return [
        Check("memory beyond that of 10 kB, here", here / _MIB, 64, -64, unit="MiB"),
        Check("memory beyond that of 10 kB, on the device", there_ / _MIB, 64, -64, unit="MiB"),
    ]


@contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """The most memory that a process' descendants took together, bytes; looked at every 10 ms."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            most[0] = max(most[0], _descendants_bytes(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _descendants_bytes(root: int) -> int:
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.name)], sizes[int(place.name)] = int(fields[1]), int(fields[21]) * resource.getpagesize()
    ours = {root}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(sizes[pid] for pid in ours - {root})


def _many(folder: Path) -> list[Check]:
    """Push to and measure on 32 devices with one command, one of them dead, beside one device alone."""
    artifact = linear_artifact(folder / "linear.edgekit", write_tflite(folder / "linear.tflite"))
    first, second = (folder / name for name in ("first", "second"))
    for place in (first, second):
        place.mkdir()
    with openssh.server(first) as one, openssh.server(second) as other:
        urls = [server.url_at(address) for server in (one, other) for address in ADDRESSES]
        urls[5] = one.url_at(ADDRESSES[5], 1)
        text = "".join(
            f'[devices.board{number}]\nurl = "{url}?home={folder}/board{number}&python={sys.executable}"\n'
            for number, url in enumerate(urls)
        )
        (folder / "edgekit.toml").write_text(text)
        (folder / "ssh_config").write_text(_both(one, other))
        alone_s = statistics.median(_bench(folder, artifact, "board0")[0] for _ in range(3))
        wall_s, results, failures = _bench(folder, artifact, "group:all")
    ideal_s = alone_s * (DEVICES - 1) / len(os.sched_getaffinity(0))
    return [
        Check("32 devices, one dead: results", results, DEVICES - 1, DEVICES - 1),
        Check("32 devices, one dead: errors", failures, 1, 1),
        Check(f"32 devices: wall beside {ideal_s:.1f} s, ideal for the cores", wall_s / ideal_s, 1.5),
    ]


def _both(one: SshServer, other: SshServer) -> str:
    """One client's configuration for two servers."""
    known = "".join((server.folder / "known_hosts").read_text() for server in (one, other))
    (one.folder / "known_hosts").write_text(known)
    config = (one.folder / "ssh_config").read_text()
    return f"{config}    IdentityFile {other.folder / 'user_key'}\n"


def _bench(folder: Path, artifact: Artifact, device: str) -> tuple[float, int, int]:
    """Seconds, results and failures of one command."""
    argv = [str(Path(sys.executable).with_name("edgekit")), "bench", str(artifact.path), "--device", device]
    argv += ["--repeat", "2", "--min-time", "50ms", "--jobs", "8", "--json"]
    environment = os.environ | {"EDGEKIT_SSH_CONFIG": str(folder / "ssh_config"), "EDGEKIT_DATA": str(folder / "data")}
    start = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    answer: dict[str, Any] = msgspec.json.decode(done.stdout)
    return taken, len(answer["runs"]), len(answer["failures"])


def _facts(medians: dict[str, float]) -> Sequence[str]:
    rates = ", ".join(f"{name} {BYTES / 1e6 / medians[key]:.0f}" for name, key in _RATES.items())
    whole = medians["whole"]
    return [
        f"MB/s over a connection just opened: {rates}.",
        f"The whole command (check, connect, lock, send, verify, write to disk, switch): {whole:.2f} s.",
    ]


_RATES: Final = {"push": "push", "ssh cat": "cat", "scp": "scp"}


def measure() -> tuple[Sequence[str], dict[str, float], list[Check]]:
    """Push this and that; what was left out, and the figures."""
    if reason := openssh.missing():
        return [f"Everything is left out: {reason}"], {}, []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "server").mkdir()
        artifact = payload_artifact(folder / "artifact", os.urandom(BYTES))
        with openssh.server(folder / "server") as server:
            os.environ["EDGEKIT_SSH_CONFIG"] = str(server.folder / "ssh_config")
            medians, checks = _throughput(server, artifact, folder)
            home = folder / "updates"
            checks += updates(
                artifact, folder, server.port, lambda port: f"{server.url_at('127.0.0.1', port)}?home={home}"
            )
            checks += _memory(server, artifact, folder)
        checks += _many(folder)
    return _facts(medians), medians, checks


def _push_alone(path: str, url: str) -> None:
    """One push in a process of its own; says the most memory that it and its children took, bytes."""
    pushed: Pushed = push(path, device=url)
    assert pushed.sent_bytes  # noqa: S101 - the figure would be of another thing
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(sum(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024)


def main() -> int:
    """Measure and judge."""
    if sys.argv[1:2] == ["--push"]:
        _push_alone(*sys.argv[2:])
        return 0
    if "adb" in sys.argv:
        import push_adb

        return conclude("push over adb", *push_adb.measure())
    lines, facts, checks = measure()
    return conclude("push", lines, facts, checks)


if __name__ == "__main__":
    sys.exit(main())
