"""Recorded conversations with some of their bytes changed: a decoder and a peer's machine take each, and stay small.

Where the fuzzing of `tests/fuzz` looks for inputs by coverage, this goes on from what p2p-media-loader really sent:
100,000 frames in each leg, and 5,000,000 in `make soak`.
"""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from shoal.balancer import wire
from shoal.balancer.peer import DataReceived, PeerProtocol, ProtocolViolated, UploadRequested

from ..effort import EFFORT

DATA = Path(__file__).parents[1] / "data" / "p2pml"
LIMITS = wire.WireLimits()
FRAMES = 100_000
CONVERSATION = 60  # frames to one machine, if none of them ends it
TAKEN_BYTES_MAX = 512 * 1024  # at any time, for what is read of frames of a kilobyte: some 60 bytes for each number
HIGHEST = 2**53 - 1


def recorded() -> list[bytes]:
    """Commands of 2.3.1 in the order in which they were said, those of 2.2.2, one in pieces, and a short transfer."""
    rows = json.loads((DATA / "datachannel_exchange.json").read_text("utf-8"))["rows"]
    older = json.loads((DATA / "legacy_2_2_2.json").read_text("utf-8"))["first_commands_hex"]
    commands = [bytes.fromhex(text) for text in [row["hex"] for row in rows if row.get("kind") == "command"] + older]
    in_pieces = wire.encode(wire.Announcement(tuple(range(600)), (7,)), piece_bytes_max=200)
    media = (DATA / "segment_008.m4s").read_bytes()[:300]
    transfer = [*wire.encode(wire.DataFollows(8, 300, 15)), media, *wire.encode(wire.DataDone(8, 15))]
    return [*commands, *in_pieces, *transfer]


def flip(data: bytearray, source: random.Random) -> None:
    data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def put(data: bytearray, source: random.Random) -> None:
    data[source.randrange(len(data))] = source.choice((0x00, 0x01, 0x7F, 0x80, 0xFF, 0x08, 0x10, 0x2F))


def cut(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data))
    del data[at : at + source.randrange(1, 9)]


def repeat(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data))
    data[at:at] = data[at : at + 40] * source.randrange(1, 12)


def reframe(data: bytearray, source: random.Random) -> None:
    data[:4] = source.choice((b"cstr", b"dstr"))
    data[-4:] = source.choice((b"cend", b"dend"))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, flip, put, put, cut, repeat, reframe)


def mutated(frame: bytes, source: random.Random) -> bytes:
    """The frame with one change or up to three; half of the time the words that frame it stay."""
    data = bytearray(frame)
    for _ in range(source.randrange(1, 4)):
        if data:
            source.choice(MUTATIONS)(data, source)
    if source.random() < 0.5:
        data[:4], data[-4:] = frame[:4], frame[-4:]
    return bytes(data)


def check(said: wire.Message | None) -> None:
    """What was read is within the limits, and can be written again if it is ours to write."""
    match said:
        case None | wire.UnknownCommand() | wire.Media():
            return
        case wire.Announcement(held, fetching):
            assert max(len(held), len(fetching)) <= LIMITS.ids_max
            assert all(0 <= number <= HIGHEST + 255 for number in (*held, *fetching))
        case _:
            assert wire.Decoder().receive(wire.encode(said)[0]) == said


class Conversation:
    """A decoder and a machine that hear the same; the machine asks and answers as a peer's actor does."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._decoder: wire.Decoder | None = wire.Decoder()
        self.machine = PeerProtocol()
        self.refused = ""

    def ask_for(self, frame: bytes) -> None:
        """If it is an answer, the machine has asked the question."""
        said = wire.Decoder().receive(frame)
        if isinstance(said, wire.DataFollows | wire.Absent) and not self.machine.is_downloading:
            self.machine.request(said.number, 0, said.request_id, 0)

    def hear(self, frame: bytes, now_us: int) -> None:
        machine = self.machine
        try:
            check(self._decoder.receive(frame) if self._decoder is not None else None)
        except wire.WireError as error:
            self.refused = error.reason
        events = machine.receive(frame, now_us)
        violated = [event.reason for event in events if isinstance(event, ProtocolViolated)]
        assert len(violated) == machine.is_violated
        if self.refused:
            assert violated == [f"wire_{self.refused}"]
        for event in events:
            if isinstance(event, DataReceived):
                assert len(event.data) <= len(frame)
            if isinstance(event, UploadRequested) and self._source.random() < 0.5:
                machine.refuse_upload(event)
        assert 0 <= machine.pause_us <= 1_000_000


def converse(count: int, source: random.Random) -> tuple[int, set[str]]:
    """Let so many changed frames be heard, each between some as they were.

    How many frames the longest conversation had, and for what reasons the decoder refused one.
    """
    frames = recorded()
    answers = {frame for frame in frames if frame[:4] == b"cstr" and frame[-4:] == b"cend" and frame[4] in (2, 4)}
    changed = longest = 0
    reasons: set[str] = set()
    while changed < count:
        conversation, at = Conversation(source), source.randrange(len(frames))
        for place in range(CONVERSATION):
            frame = frames[(at + place) % len(frames)]
            if frame in answers:
                conversation.ask_for(frame)
            if source.random() < 0.8:
                frame = mutated(frame, source)
                changed += 1
            conversation.hear(frame, place * 10_000)
            longest = max(longest, place + 1)
            if conversation.machine.is_violated:
                break
        reasons.add(conversation.refused)
    return longest, reasons


def test_changed_frames_give_what_the_protocol_knows_or_a_typed_error() -> None:
    longest, reasons = converse(FRAMES * EFFORT, random.Random(2_3_1))
    assert longest > 8  # not all of them end at their first frame
    assert {"truncated", "bad_integer", "unknown_type", "wrong_type", "missing_field", "no_beginning"} <= reasons


def test_of_changed_frames_little_is_kept() -> None:
    converse(100, random.Random(1))  # what is loaded once
    tracemalloc.start()
    try:
        converse(1_000, random.Random(2))
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < TAKEN_BYTES_MAX
    assert kept < TAKEN_BYTES_MAX / 8
