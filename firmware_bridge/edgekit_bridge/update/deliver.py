"""Push an artifact as an update: what the device has is built on, what is missing travels, a cut is gone on from."""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Final

from edgekit.artifact import Artifact
from edgekit.errors import DeviceError
from edgekit.protocols import Delivered, Link, Progress
from edgekit_bridge.update.device_side import Damaged, DeviceSide, Look
from edgekit_bridge.update.history import switch_steps
from edgekit_bridge.update.recipe import (
    SPOOL,
    FileRecipe,
    Place,
    Sent,
    Update,
    build_steps,
    joined,
    plan_update,
    recipe_of,
    write_chunks,
    write_recipe,
)

BUDGET_S: Final = 60.0
"""How long a push goes on trying after the link broke without getting any further, seconds."""

_PAUSE_S: Final = 1.0
"""Between two tries; doubled each time."""

_SAMPLE: Final = 16
"""Every so many-th chunk is compressed to see whether it helps."""

_HELPS: Final = 0.9
"""Compressing to less than this share is worth the time that it takes."""

_READ_BYTES: Final = 1 << 20

_SPARE_BYTES: Final = 1 << 20
"""What a push leaves free on the device."""


class _Delivery:
    """One artifact on its way to one device."""

    def __init__(self, link: Link, artifact: Artifact, progress: Progress, keep: int | None) -> None:
        self.artifact = artifact
        self.progress = progress
        self.keep = keep
        self.there = DeviceSide(link=link, name=artifact.manifest.name)
        self.sent_bytes = 0
        self._damaged = 0

    @property
    def gave_up(self) -> bool:
        """Whether it arrived damaged twice: once with what the device had, and once without."""
        return self._damaged > 1

    def go(self) -> Delivered:
        """Until it is there, or cannot be."""
        look = self.there.look(self.artifact.id)
        new = look.hashes != {entry.name: entry.sha256 for entry in self.artifact.entries()}
        if new and look.hashes:
            look = self.there.look(self.artifact.id, anew=True)
        switch = [] if self.keep is None else switch_steps(look, self.artifact.id, self.keep)
        if new:
            self._send(look, switch)
        else:
            self.there.apply(self.artifact.id, switch)
        folder = self.there.link.home() / "artifacts" / self.artifact.manifest.name / "versions" / self.artifact.id
        return Delivered(folder=folder, sent_bytes=self.sent_bytes, new=new)

    def _send(self, look: Look, switch: Sequence[str]) -> None:
        with self.progress.step(f"cut {self.artifact.manifest.name} into chunks"):
            files = recipe_of(self.artifact)
        update = plan_update(files, {} if self._damaged else look.sources)
        self._check_space(look, files, update)
        self._stream(files, update, gzip=look.gzip)
        with self.progress.step("build and verify on the device"):
            steps = build_steps(files, update, f"incoming/{self.artifact.id}/{SPOOL}")
            try:
                self.there.apply(self.artifact.id, [*steps, *switch])
            except Damaged:
                self._damaged += 1  # perhaps a version that it was built on is: the next time without it
                raise

    def _check_space(self, look: Look, files: Sequence[FileRecipe], update: Update) -> None:
        """The spool and the version stand side by side, but for a file that the spool becomes."""
        taken = files[0].size if update.takes_spool(files[0]) else 0
        needed = update.sent_bytes + sum(file.size for file in files) - taken
        if look.free and needed + _SPARE_BYTES > look.free:
            raise DeviceError(
                f"{self.artifact.path.name} needs {(needed + _SPARE_BYTES) / 1e6:.1f} MB free on the device, which has "
                f"{look.free / 1e6:.1f} MB: No space left.",
                hint="Free some space there, or give edgekit another folder: ?home=/media/disk/edgekit at the end of "
                "the device's URL.",
            )

    def _stream(self, files: Sequence[FileRecipe], update: Update, *, gzip: bool) -> None:
        recipe = write_recipe(files).encode()
        plan = write_chunks([*update.kept, *(item.chunk for item in update.sent)]).encode()
        arguments = [str(update.kept_bytes), str(len(recipe)), str(len(plan))]
        with ExitStack() as stack:
            opened = {file.name: stack.enter_context((self.artifact.path / file.name).open("rb")) for file in files}
            packed = stack.enter_context(TemporaryFile())
            if gzip and _compresses(opened, update.sent):
                size = _pack(_pieces(opened, update.sent), packed)
                data, arguments = iter(lambda: packed.read(_READ_BYTES), b""), [*arguments, "gzip"]
            else:
                size, data = update.sent_bytes, _pieces(opened, update.sent)
            step = stack.enter_context(self.progress.step(f"push {self.artifact.manifest.name}", size))
            stdin = chain([recipe + plan], self._counted(data, step.advance))
            self.there.call("receive", self.artifact.id, *arguments, stdin=stdin, size=size)

    def _counted(self, data: Iterable[bytes], advance: Callable[[float], None]) -> Iterator[bytes]:
        for piece in data:
            yield piece
            self.sent_bytes += len(piece)
            advance(len(piece))


def deliver(
    link: Link, artifact: Artifact, progress: Progress, *, keep: int | None = None, budget_s: float = BUDGET_S
) -> Delivered:
    """Bring a version to the device, verified.

    Args:
        link: The way there.
        artifact: What to bring.
        progress: Told of each step.
        keep: How many versions stay when it is switched to; None: it is not switched to.
        budget_s: How long to go on after failures that may pass, without a byte more arriving, seconds.

    Raises:
        DeviceError: The device refused it, or the link stayed broken.
        UsageError: The artifact cannot be read.
    """
    delivery = _Delivery(link, artifact, progress, keep)
    pause, before, stuck_since = _PAUSE_S, -1, time.monotonic()
    while True:
        try:
            return delivery.go()
        except DeviceError as error:
            now = time.monotonic()
            if delivery.sent_bytes > before:
                pause, before, stuck_since = _PAUSE_S, delivery.sent_bytes, now
            if not error.transient or now + pause - stuck_since > budget_s or delivery.gave_up:
                raise
            with progress.step(f"wait {pause:g} s: {error.cause}"):
                time.sleep(pause)
            pause *= 2


def _pieces(files: Mapping[str, IO[bytes]], sent: Iterable[Sent]) -> Iterator[bytes]:
    """What travels, neighbouring chunks at once: 10 % faster than one by one."""
    for name, offset, length in joined(Place(item.file, item.offset, item.chunk.length) for item in sent):
        files[name].seek(offset)
        for start in range(0, length, _READ_BYTES):
            yield files[name].read(min(_READ_BYTES, length - start))


def _compresses(files: Mapping[str, IO[bytes]], sent: Sequence[Sent]) -> bool:
    sample = b"".join(_pieces(files, sent[::_SAMPLE][:_SAMPLE]))
    return len(zlib.compress(sample, 1)) < _HELPS * len(sample)


def _pack(pieces: Iterable[bytes], packed: IO[bytes]) -> int:
    """As gzip writes it (RFC 1952), ready to be read; its size."""
    packer = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        packed.write(packer.compress(piece))
    packed.write(packer.flush())
    size = packed.tell()
    packed.seek(0)
    return size
