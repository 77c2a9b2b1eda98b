"""What an artifact is made of, and how a device gets it with the fewest bytes: pure planning, no device.

A recipe is kept beside each version on the device, as text:

    file SIZE SHA256 NAME
    chunk SHA256 LENGTH
    …
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Final, NamedTuple

import msgspec

from edgekit.artifact import Artifact

SPOOL: Final = "spool"
"""The source that stands for what a push has sent so far."""

_MOST_COPIES: Final = 256
"""Pieces that a device copies from what it has: each is a process there, and 50 ms in an emulated one."""


class Chunk(NamedTuple):
    """A piece of a file: the first 128 bits of its SHA-256 in hex, and its length in bytes."""

    sha256: str
    length: int


class FileRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an artifact: its name, size in bytes, SHA-256 and chunks in order."""

    name: str
    size: int
    sha256: str
    chunks: tuple[Chunk, ...]


class Place(NamedTuple):
    """Where bytes are: a source, the offset in it and how many."""

    source: str
    offset: int
    length: int


class Sent(NamedTuple):
    """A chunk that travels: which file it is read from, where, and what it is."""

    file: str
    offset: int
    chunk: Chunk


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """How a device gets a version.

    Attributes:
        kept: The chunks of the spool that are used again.
        sent: The chunks that travel, in the order in which the spool holds them after the kept ones.
        pieces: For each file where its bytes come from, in order.
    """

    kept: tuple[Chunk, ...]
    sent: tuple[Sent, ...]
    pieces: dict[str, tuple[Place, ...]]

    @property
    def kept_bytes(self) -> int:
        """Where the spool goes on."""
        return sum(chunk.length for chunk in self.kept)

    def takes_spool(self, file: FileRecipe) -> bool:
        """Whether the spool begins with that file, whole, so that it can become it."""
        return self.pieces[file.name] == (Place(SPOOL, 0, file.size),)

    @property
    def sent_bytes(self) -> int:
        """What travels, before it is compressed."""
        return sum(item.chunk.length for item in self.sent)


def recipe_of(artifact: Artifact) -> tuple[FileRecipe, ...]:
    """The recipe of an artifact's files and its manifest, the largest first: the spool can become that one.

    Raises:
        OSError: A file cannot be read.
    """
    return begin_recipe(artifact).result()


def begin_recipe(artifact: Artifact) -> "Future[tuple[FileRecipe, ...]]":
    """Make an artifact's recipe in a thread of its own, once, so that a connection can be made meanwhile."""
    with _LOCK:
        future = _RECIPES.get(artifact.id)
        if future is None or (future.done() and future.exception()):
            future = _RECIPES[artifact.id] = Future()
            Thread(target=_make_recipe, args=(artifact, future), daemon=True).start()
        return future


_LOCK: Final = Lock()
_RECIPES: Final[dict[str, "Future[tuple[FileRecipe, ...]]"]] = {}


def _make_recipe(artifact: Artifact, future: "Future[tuple[FileRecipe, ...]]") -> None:
    from edgekit_bridge.update.chunking import chunks_of

    try:
        files = (
            FileRecipe(
                name=entry.name,
                size=entry.bytes,
                sha256=entry.sha256,
                chunks=tuple(chunks_of(artifact.path / entry.name)),
            )
            for entry in artifact.entries()
        )
        future.set_result(tuple(sorted(files, key=lambda file: -file.size)))
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
        future.set_exception(error)


def write_chunks(chunks: Iterable[Chunk]) -> str:
    """As the device keeps them."""
    return "".join(f"chunk {chunk.sha256} {chunk.length}\n" for chunk in chunks)


def write_recipe(files: Sequence[FileRecipe]) -> str:
    """As the device keeps it."""
    return "".join(f"file {file.size} {file.sha256} {file.name}\n{write_chunks(file.chunks)}" for file in files)


def read_chunk(line: str) -> Chunk | None:
    """A `chunk` line; None for one that is damaged."""
    match line.split(" "):
        case ["chunk", sha256, length] if length.isdecimal() and int(length) > 0:
            return Chunk(sha256, int(length))
    return None


def plan_update(files: Sequence[FileRecipe], sources: Mapping[str, Sequence[Chunk]]) -> Update:
    """Find every chunk in a source, or send it.

    Args:
        files: What the device is to have.
        sources: What it has: the chunks of files by their path there, and of the `SPOOL`, each in order from the
            beginning of that file.
    """
    known = dict(_places(sources))
    wanted = {chunk for file in files for chunk in file.chunks}
    known = _few(files, {chunk: place for chunk, place in known.items() if chunk in wanted})
    kept = tuple(sources.get(SPOOL, ()))
    spool = sum(chunk.length for chunk in kept)
    sent: list[Sent] = []
    pieces: dict[str, tuple[Place, ...]] = {}
    for file in files:
        found: list[Place] = []
        for offset, chunk in _offsets(file.chunks):
            if chunk not in known:
                known[chunk] = Place(SPOOL, spool, chunk.length)
                sent.append(Sent(file.name, offset, chunk))
                spool += chunk.length
            found.append(known[chunk])
        pieces[file.name] = tuple(joined(found))
    return Update(kept=kept, sent=tuple(sent), pieces=pieces)


def build_steps(files: Sequence[FileRecipe], update: Update, spool_path: str) -> list[str]:
    """The steps by which the device builds the version (`on_device.sh`, apply)."""
    first, *rest = files
    lines = [line for file in rest for line in _copy_steps(file.name, update.pieces[file.name], spool_path)]
    if update.takes_spool(first):
        lines += [f"file {first.name}", f"take {first.size}"]
    else:
        lines += _copy_steps(first.name, update.pieces[first.name], spool_path)
    lines += [f"sum {file.sha256} {file.name}" for file in sorted(files, key=lambda file: file.name.encode())]
    return [*lines, "publish"]


def _copy_steps(name: str, pieces: Sequence[Place], spool_path: str) -> Iterator[str]:
    yield f"file {name}"
    for source, offset, length in pieces:
        yield f"copy {offset} {length} {spool_path if source == SPOOL else source}"


def _offsets(chunks: Iterable[Chunk]) -> Iterator[tuple[int, Chunk]]:
    offset = 0
    for chunk in chunks:
        yield offset, chunk
        offset += chunk.length


def _places(sources: Mapping[str, Sequence[Chunk]]) -> Iterator[tuple[Chunk, Place]]:
    for source, chunks in sources.items():
        for offset, chunk in _offsets(chunks):
            yield chunk, Place(source, offset, chunk.length)


def joined(places: Iterable[Place]) -> Iterator[Place]:
    """Neighbors that follow each other in one source as one."""
    last: Place | None = None
    for place in places:
        if last and place.source == last.source and place.offset == last.offset + last.length:
            last = Place(last.source, last.offset, last.length + place.length)
            continue
        if last:
            yield last
        last = place
    if last:
        yield last


def _few(files: Sequence[FileRecipe], known: Mapping[Chunk, Place]) -> dict[Chunk, Place]:
    """What is known, without the shortest runs when there are too many to copy: those are sent again."""
    runs: list[list[Chunk]] = []
    for file in files:
        after: Place | None = None
        for chunk in file.chunks:
            place = known.get(chunk)
            if place and after and place.source == after.source and place.offset == after.offset + after.length:
                runs[-1].append(chunk)
            elif place:
                runs.append([chunk])
            after = place
    runs.sort(key=lambda run: -sum(chunk.length for chunk in run))
    few = {chunk for run in runs[:_MOST_COPIES] for chunk in run}
    return {chunk: place for chunk, place in known.items() if chunk in few}
