"""Frames on a serial line: what goes in comes out, and whatever else comes breaks nothing."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit_bridge.serial.framing import CRC_BYTES, MOST_PROTECTED, FrameReader, make_frame, open_frame, stuff, unstuff
from edgekit_bridge.serial.reed_solomon import MOST, correct, protect

BODY = st.binary(min_size=1, max_size=1200) | st.lists(st.sampled_from([0, 1, 255]), min_size=1, max_size=600).map(
    bytes
)
SHORT = st.binary(min_size=1, max_size=MOST_PROTECTED - CRC_BYTES)


@given(BODY)
def test_stuffing_leaves_no_zero_and_loses_nothing(data: bytes) -> None:
    """At a cost of one byte in 254."""
    stuffed = stuff(data)
    assert 0 not in stuffed
    assert len(stuffed) <= len(data) + len(data) // 254 + 1
    assert unstuff(stuffed) == data


def test_stuffing_is_the_published_one() -> None:
    """The examples of Cheshire and Baker's paper, as everybody's implementation has them."""
    assert stuff(b"\0") == b"\1\1"
    assert stuff(b"\x11\x22\0\x33") == b"\3\x11\x22\2\x33"
    assert stuff(bytes(range(1, 255))) == b"\xff" + bytes(range(1, 255))
    assert stuff(bytes(range(256))) == b"\1\xff" + bytes(range(1, 255)) + b"\2\xff"


@given(st.lists(BODY, min_size=1, max_size=4), st.integers(1, 50))
def test_frames_come_out_in_order_however_they_are_cut(bodies: list[bytes], piece: int) -> None:
    """A line gives bytes as it likes."""
    wire = b"".join(map(make_frame, bodies))
    reader = FrameReader()
    found = [frame.body for start in range(0, len(wire), piece) for frame in reader.feed(wire[start : start + piece])]
    assert found == bodies


@given(BODY, BODY, st.binary(max_size=300))
def test_garbage_between_frames_costs_no_more_than_the_next(before: bytes, after: bytes, garbage: bytes) -> None:
    """A zero in front is enough to lose nothing at all."""
    reader = FrameReader()
    found = [frame.body for frame in reader.feed(make_frame(before) + garbage + b"\0" + make_frame(after))]
    assert found[0] == before
    assert found[-1] == after


@given(BODY, st.data())
def test_a_changed_byte_is_found(body: bytes, data: st.DataObject) -> None:
    """Nothing wrong comes through, with or without parity."""
    wire = bytearray(make_frame(body))
    place = data.draw(st.integers(0, len(wire) - 2))
    wire[place] ^= data.draw(st.integers(1, 255))
    assert [frame.body for frame in FrameReader().feed(bytes(wire)) if frame.body != body] == []


@given(SHORT, st.data())
def test_eight_wrong_bytes_are_put_right(body: bytes, data: st.DataObject) -> None:
    """In a frame with parity, anywhere in it."""
    wire = bytearray(make_frame(body, protected=True))
    assert wire.endswith(b"\0\0")
    block = wire[:-2]
    assert 0 not in block
    places = data.draw(st.lists(st.integers(0, len(block) - 1), max_size=8, unique=True))
    for place in places:
        block[place] ^= data.draw(st.integers(1, 255))
    frame = open_frame(bytes(block))
    assert frame is not None
    assert frame.body == body
    assert frame.errors == len(places)


@given(st.binary(min_size=1, max_size=MOST), st.data())
def test_a_block_with_too_many_errors_gives_nothing_wrong_away(content: bytes, data: st.DataObject) -> None:
    """More than eight are either told or, by bad luck, taken for others: the CRC above tells."""
    block = bytearray(protect(content))
    for place in data.draw(st.lists(st.integers(0, len(block) - 1), min_size=9, max_size=40, unique=True)):
        block[place] ^= data.draw(st.integers(1, 255))
    found = correct(bytes(block))
    assert found is None or len(found.content) == len(content)


@given(st.lists(st.binary(max_size=400), max_size=10))
@settings(max_examples=200)
def test_random_bytes_are_no_frames(pieces: list[bytes]) -> None:
    """And the next frame is found all the same."""
    reader = FrameReader()
    assert [frame for piece in pieces for frame in reader.feed(piece)] == []
    assert [frame.body for frame in reader.feed(b"\0" + make_frame(b"here"))] == [b"here"]


def test_an_endless_frame_takes_no_memory() -> None:
    """A line that never sends a zero is cut off."""
    reader = FrameReader(most_bytes=1000)
    assert list(reader.feed(b"x" * 100_000)) == []
    assert len(reader._rest) <= 1000
    assert [frame.body for frame in reader.feed(b"\0" + make_frame(b"here"))] == [b"here"]
    assert reader.damaged == 1


CHECK = """
#include <stdio.h>
#include <string.h>
#include "edgekit_frame.h"
#include "edgekit_gf256.h"
/* Reads lines of hexadecimal digits; gives back what a frame holds, framed again, plain and with parity. */
static edgekit_receiver receiver;
static void show(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; ++i) printf("%02x", bytes[i]);
}
int main(void) {
    static uint8_t body[EDGEKIT_MAX_FRAME], wire[EDGEKIT_MAX_WIRE + 2];
    unsigned value;
    edgekit_gf256_init();
    while (scanf("%2x", &value) == 1) {
        if (!edgekit_receive(&receiver, (uint8_t)value)) continue;
        size_t length = receiver.body;
        memcpy(body, receiver.wire, length);
        show(wire, edgekit_frame(body, length, receiver.was_protected, wire));
        printf("\\n");
    }
    return 0;
}
"""


@pytest.fixture(scope="session")
def c_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware's frame parser as a program, with sanitizers."""
    from edgekit_bridge.firmware.ports import SOURCES

    folder = tmp_path_factory.mktemp("frames")
    (folder / "check.c").write_text(CHECK)
    files = [folder / "check.c", SOURCES / "edgekit_frame.c", SOURCES / "edgekit_gf256.c"]
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined"]
    try:
        subprocess.run(["cc", *flags, f"-I{SOURCES}", *files, "-o", folder / "check"], check=True)
    except FileNotFoundError:
        pytest.skip("cc is not installed")
    return folder / "check"


@pytest.mark.peer
def test_the_firmware_makes_the_same_frames(c_frames: Path) -> None:
    """Both sides are one protocol: what this one sends that one reads, and sends in the same bytes."""
    bodies = [bytes([1 + place % 255]) * (1 + 7 * place % 230) for place in range(60)]
    bodies += [bytes((place * step) % 256 for place in range(233)) for step in range(1, 40)] + [bytes(233)]
    frames = [make_frame(body, protected=bool(place % 2)) for place, body in enumerate(bodies)]
    done = subprocess.run([c_frames], input=b"".join(frames).hex(), capture_output=True, text=True, check=True)
    assert [bytes.fromhex(line) for line in done.stdout.split()] == frames


@pytest.mark.peer
def test_the_firmware_puts_errors_right_and_survives_the_rest(c_frames: Path) -> None:
    """Eight wrong bytes a frame, then bytes that mean nothing, under the address sanitizer."""
    wire = bytearray(make_frame(bytes(range(1, 230)), protected=True))
    good = bytes(wire)
    for place in range(5, 245, 30):
        wire[place] = wire[place] % 255 + 1
    noise = bytes((place * place * 31 + place // 7) % 256 for place in range(60_000))
    text = (bytes(wire) + noise + b"\0" + good).hex()
    done = subprocess.run([c_frames], input=text, capture_output=True, text=True, check=True)
    lines = done.stdout.split()
    assert bytes.fromhex(lines[0]) == good
    assert bytes.fromhex(lines[-1]) == good
