"""`local:`: this machine as the device."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from edgekit.device import DeviceUrl
from edgekit.errors import DeviceError
from edgekit.paths import data_folder
from edgekit.protocols import Completed, Link, Progress, Transport
from edgekit_bridge.transports.program import run_program
from edgekit_bridge.transports.whole_copy import copy_whole

_HOME: Final = "device"
"""The folder below edgekit's data folder that stands for the device's own."""


class _LocalLink:
    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Iterable[bytes] | int = b"",
        timeout_s: float,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Completed:
        """Run a program in a process group of its own, so that ending it ends its children too."""
        return run_program(argv, stdin=stdin, timeout_s=timeout_s, on_line=on_line)

    def push(self, local: Path, remote: PurePosixPath, progress: Progress) -> None:
        """Copy beside the place, then rename over it."""
        copy_whole(local, Path(remote), progress, f"push {local.name}")

    def pull(self, remote: PurePosixPath, local: Path, progress: Progress) -> None:
        """The same copy the other way round."""
        copy_whole(Path(remote), local, progress, f"pull {remote.name}")

    def python(self) -> str:
        """The interpreter that runs edgekit: it has the runtimes that the user installed."""
        return sys.executable

    def home(self) -> PurePosixPath:
        """A folder below edgekit's data folder."""
        return PurePosixPath((data_folder() / _HOME).absolute())


class _LocalTransport:
    scheme = "local"

    @contextmanager
    def open(self, url: DeviceUrl, *, timeout_s: float) -> Iterator[Link]:  # noqa: ARG002 - nothing to wait for
        """Give the link to this machine.

        Raises:
            DeviceError: The URL names another place.
        """
        if url.host or url.path:
            raise DeviceError(f"{url} is not this machine.", hint="Write local: without a host or a path.")
        yield _LocalLink()


TRANSPORT: Transport = _LocalTransport()
