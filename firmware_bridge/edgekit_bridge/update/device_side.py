"""Talks with `on_device.sh`: one call a verb, its answer as data."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from edgekit.errors import DeviceError
from edgekit.protocols import Completed, Link, Version
from edgekit_bridge.transports.refusals import refusal
from edgekit_bridge.update.recipe import SPOOL, Chunk, read_chunk

_SCRIPT: Final = Path(__file__).with_name("on_device.sh")

_CALL_S: Final = 600.0
"""The longest that a call may take: hashing 1 GB takes 100 s from a slow SD card (10 MB/s)."""

_SLOWEST: Final = 1e5
"""A bad radio link, bytes a second: what a transfer may take."""

_DAMAGED: Final = 3
"""What the script exits with when bytes are not what they should be."""


_VERSION_WORDS: Final = 3


class Damaged(DeviceError):  # noqa: N818 - reads as what it is, like CheckFailed
    """What the device has is not what was sent."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a device has of an artifact.

    Attributes:
        free: Bytes left on the file system there.
        gzip: Whether it can unpack.
        versions: What is there whole, newest first.
        history: The ids that were in use, oldest first.
        hashes: SHA-256 by file name of the version that was asked for; empty when it is not there.
        sources: Chunks that can be used again, by the file there that they begin.
    """

    free: int = 0
    gzip: bool = False
    versions: tuple[Version, ...] = ()
    history: tuple[str, ...] = ()
    hashes: dict[str, str] = {}
    sources: dict[str, list[Chunk]] = {}


class DeviceSide(msgspec.Struct, frozen=True, kw_only=True):
    """The artifact of one name on one device."""

    link: Link
    name: str

    def call(self, verb: str, id_: str, *arguments: str, stdin: bytes | Iterable[bytes] = b"", size: int = 0) -> bytes:
        """Run a verb of the script; gives its answer.

        Args:
            verb: See `on_device.sh`.
            id_: The version's id; empty where it is of no matter.
            arguments: The verb's own.
            stdin: The verb's input.
            size: How much that is, bytes, when it is a stream.

        Raises:
            DeviceError: The device refused something, or the link broke.
            Damaged: The bytes there are not what they should be.
        """
        argv = ["sh", "-c", _script(), "edgekit", verb, str(self.link.home()), self.name, id_, *arguments]
        done = self.link.run(argv, stdin=stdin, timeout_s=_CALL_S + size / _SLOWEST)
        return _answer(done, f"The device could not {verb} {self.name}")

    def look(self, id_: str, *, anew: bool = False) -> Look:
        """What there is of it; with `anew` as if that version were not there."""
        lines = self.call("look", id_, *(["anew"] if anew else [])).decode(errors="replace").splitlines()
        return msgspec.structs.replace(_read_look(lines), sources=_read_sources(lines))

    def versions(self) -> Look:
        """Which versions there are, and were in use."""
        return _read_look(self.call("versions", "").decode(errors="replace").splitlines())

    def apply(self, id_: str, steps: Sequence[str]) -> None:
        """Do steps of `on_device.sh` with a version.

        Raises:
            DeviceError: The device refused one.
            Damaged: The version is not what was sent.
        """
        if steps:
            self.call("apply", id_, stdin="".join(f"{step}\n" for step in steps).encode())

    def every(self) -> dict[str, Look]:
        """What there is of every artifact, by name."""
        found: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in self.call("every", "").decode(errors="replace").splitlines():
            verb, _, rest = line.partition(" ")
            if verb == "artifact":
                lines = found.setdefault(rest, [])
            lines.append(line)
        return {name: _read_look(lines) for name, lines in found.items()}

    def hashes(self, *paths: str) -> dict[str, str]:
        """SHA-256 by path of those files that are there."""
        argv = ["sh", "-c", _script(), "edgekit", "hashes", str(self.link.home()), self.name, "", *paths]
        done = self.link.run(argv, timeout_s=_CALL_S)
        pairs = (line.split(maxsplit=1) for line in done.stdout.decode(errors="replace").splitlines())
        return {path.lstrip("*"): sha256 for sha256, path in pairs}


@cache
def _script() -> str:
    lines = _SCRIPT.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _answer(done: Completed, what: str) -> bytes:
    if done.returncode == 0:
        return done.stdout
    error = refusal(what, done.stderr)
    if done.returncode == _DAMAGED:
        raise Damaged(error.cause, hint="Look at the device's storage and memory when it stays so.", transient=True)
    raise error


def _read_look(lines: Iterable[str]) -> Look:
    """Read an answer; lines of other forms are passed over, such as a login's greeting."""
    facts: dict[str, list[str]] = {}
    for line in lines:
        verb, _, rest = line.partition(" ")
        facts.setdefault(verb, []).append(rest)
    current = "".join(facts.get("current", []))
    found = (rest.split(" ") for rest in facts.get("version", []))
    versions = (
        Version(id=id_, seconds=_number(seconds), size=_number(kib) * 1024, current=id_ == current)
        for id_, seconds, kib in (words for words in found if len(words) == _VERSION_WORDS)
    )
    return Look(
        free=_number("".join(facts.get("free", []))) * 1024,
        gzip="gzip" in facts,
        versions=tuple(versions),
        history=tuple(facts.get("history", [])),
        hashes={name: sha256 for sha256, _, name in (rest.partition(" ") for rest in facts.get("sha", []))},
    )


def _read_sources(lines: Iterable[str]) -> dict[str, list[Chunk]]:
    """The chunks that follow each `spool` and each `file` of a `recipe`."""
    sources: dict[str, list[Chunk]] = {}
    chunks: list[Chunk] = []
    spool_bytes, version = 0, ""
    for line in lines:
        match line.split(" ", 3):
            case ["chunk", *_] if chunk := read_chunk(line):
                chunks.append(chunk)
            case ["spool", size]:
                spool_bytes, chunks = _number(size), sources.setdefault(SPOOL, [])
            case ["recipe", version]:
                pass
            case ["file", _, _, name]:
                chunks = sources.setdefault(f"versions/{version}/{name}", [])
    return sources | {SPOOL: _whole(sources.get(SPOOL, []), spool_bytes)}


def _whole(chunks: list[Chunk], size: int) -> list[Chunk]:
    """The chunks of a spool's plan that have come whole."""
    whole = []
    for chunk in chunks:
        size -= chunk.length
        if size < 0:
            break
        whole.append(chunk)
    return whole


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else 0
