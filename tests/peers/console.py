"""A real serial console for the tests: busybox's getty and login on a pty, with users of their own.

They see an `/etc/passwd` of their own in a mount namespace; the shell and every program are this machine's.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from peers.wire import MakeWire, Spoil, unspoilt

USER: Final = "edge"
PASSWORD: Final = "knows it"  # noqa: S105 - of an account that lives as long as the test
_START: Final = r"""
set -eu
mount --make-rprivate /
for name in passwd shadow group; do mount --bind "$1/$name" "/etc/$name"; done
while :; do setsid busybox getty -L -l "$3" 115200 "$2" vt100; sleep 0.1; done
"""


class Console(NamedTuple):
    """A board's console: its URL without who logs in, and the folder that is home there."""

    url: str
    home: Path


def _missing() -> str:
    lacking = [name for name in ("busybox", "unshare", "openssl") if not shutil.which(name)]
    if lacking:
        return f"Not installed (Debian): {', '.join(lacking)}"
    return "" if os.geteuid() == 0 else "Only root can have somebody log in"


_NAMESPACES: Final = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.fixture
def make_console(
    wire: MakeWire, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Spoil], Console]]:
    """Starts boards' consoles, behind lines that may spoil what is sent to them."""
    if reason := _missing():
        pytest.skip(reason)
    monkeypatch.setenv("EDGEKIT_CONSOLE_PASSWORD", PASSWORD)
    started: list[subprocess.Popen[bytes]] = []

    def start(spoil: Spoil = unspoilt) -> Console:
        line, folder = wire(spoil), tmp_path_factory.mktemp("board")
        home = folder / "home"
        home.mkdir(parents=True)
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True)
        (folder / "passwd").write_text(f"{USER}:x:0:0::{home}:/bin/sh\n")
        (folder / "shadow").write_text(f"{USER}:{hashed.stdout.strip()}:19000:0:99999:7:::\n")
        (folder / "group").write_text("root:x:0:\n")
        login = folder / "login"
        login.write_text(f'#!/bin/sh\nfor name; do :; done\necho "$name" >>{folder}/logins\nexec busybox login "$@"\n')
        login.chmod(0o755)
        argv = [*_NAMESPACES, "sh", "-c", _START, "sh", str(folder), line.far, str(login)]
        log = (folder / "log").open("wb")
        started.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        log.close()
        return Console(f"serial-console:{line.near}?baud=3000000&python={sys.executable}", home)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def console_device(make_console: Callable[..., Console], tmp_path: Path) -> str:
    """The URL of a board's console, with a folder of the test's own there."""
    return f"{make_console().url}&login={USER}&home={tmp_path / 'device'}"
