"""One peer's protocol: the tables of peer.py, recordings, and two machines against each other."""

import hashlib
import json
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shoal.balancer import wire
from shoal.balancer.peer import (
    Absent,
    Announced,
    DataEnded,
    DataReceived,
    DataStarted,
    PeerEvent,
    PeerLimits,
    PeerMisuse,
    PeerProtocol,
    ProtocolViolated,
    UploadCancelled,
    UploadRequested,
)

from ..effort import EFFORT

DATA = Path(__file__).parents[1] / "data" / "p2pml"


def told(peer: PeerProtocol, *messages: bytes | wire.Command, now_us: int = 0) -> list[PeerEvent]:
    """What the peer makes of messages and commands, in order."""
    events: list[PeerEvent] = []
    for message in messages:
        for raw in [message] if isinstance(message, bytes) else wire.encode(message):
            events += peer.receive(raw, now_us)
    return events


def said(messages: list[bytes]) -> list[wire.Message | None]:
    decoder = wire.Decoder()
    return [decoder.receive(message) for message in messages]


def violation(events: list[PeerEvent]) -> str:
    assert len(events) == 1
    assert isinstance(events[0], ProtocolViolated)
    assert events[0].detail
    return events[0].reason


def asking(number: int = 7, request_id: int = 1, *, expected_bytes: int | None = None) -> PeerProtocol:
    peer = PeerProtocol()
    peer.request(number, 0, request_id, 0, expected_bytes=expected_bytes)
    return peer


def asked(request_id: int = 1) -> tuple[PeerProtocol, UploadRequested]:
    peer = PeerProtocol()
    (request,) = told(peer, wire.Request(7, request_id, 3))
    assert isinstance(request, UploadRequested)
    return peer, request


def give(peer: PeerProtocol, request: UploadRequested) -> None:
    """All of a segment of one byte."""
    peer.begin_upload(request, 1)
    assert list(peer.upload_pieces(request, b"a")) == [b"a"]
    peer.end_upload(request)


# --- announcing ------------------------------------------------------------


def test_an_announcement_is_sent_once_until_it_changes() -> None:
    peer = PeerProtocol()
    assert said(peer.announce({2, 1}, {3})) == [wire.Announcement((1, 2), (3,))]
    assert peer.announce([1, 2], [3]) == []
    assert said(peer.announce([1, 2, 3], [])) == [wire.Announcement((1, 2, 3), ())]


def test_holding_nothing_is_announced_too() -> None:
    assert said(PeerProtocol().announce((), ())) == [wire.Announcement()]


def test_an_announcement_keeps_the_highest_ids_that_fit_and_counts_the_rest() -> None:
    peer = PeerProtocol()
    (announcement,) = said(peer.announce(range(0, 300 * 256, 256), ()))
    assert announcement == wire.Announcement(tuple(range(45 * 256, 300 * 256, 256)))
    assert peer.statistics().ids_not_announced == 45


def test_what_the_other_side_announces_replaces_what_it_said_before() -> None:
    events = told(PeerProtocol(), wire.Announcement((1, 2), (3,)), wire.Announcement())
    assert events == [Announced(frozenset({1, 2}), frozenset({3})), Announced(frozenset(), frozenset())]


# --- downloading -----------------------------------------------------------


def test_a_download_starts_receives_and_ends() -> None:
    peer = PeerProtocol()
    assert said(peer.request(7, 2, 15, 0)) == [wire.Request(7, 15, 2)]
    assert peer.is_downloading
    events = told(peer, wire.DataFollows(7, 5, 15), b"abc", b"de", wire.DataDone(7, 15))
    assert events == [DataStarted(7, 5), DataReceived(7, b"abc"), DataReceived(7, b"de"), DataEnded(7)]
    assert not peer.is_downloading


def test_a_download_of_no_bytes_starts_and_ends() -> None:
    assert told(asking(), wire.DataFollows(7, 0, 1), wire.DataDone(7, 1)) == [DataStarted(7, 0), DataEnded(7)]


def test_an_absent_segment_makes_room_for_the_next_request() -> None:
    peer = asking()
    assert told(peer, wire.Absent(7, 1)) == [Absent(7)]
    assert said(peer.request(8, 0, 2, 0)) == [wire.Request(8, 2)]


def test_a_second_request_at_once_is_our_own_mistake() -> None:
    with pytest.raises(PeerMisuse, match="segment 7"):
        asking().request(8, 0, 2, 0)


def test_late_bytes_of_a_cancelled_transfer_are_swallowed_and_the_next_transfer_is_whole() -> None:
    peer = asking(7, 1)
    told(peer, wire.DataFollows(7, 10, 1), b"abc")
    assert said(peer.cancel_request()) == [wire.Cancel(7, 1)]
    peer.request(8, 0, 2, 0)
    late = told(peer, b"defg", b"hij", wire.DataDone(7, 1))
    events = told(peer, wire.DataFollows(8, 2, 2), b"xy", wire.DataDone(8, 2))
    assert late == []
    assert events == [DataStarted(8, 2), DataReceived(8, b"xy"), DataEnded(8)]
    assert (peer.statistics().late_bytes, peer.statistics().late_commands) == (7, 1)


def test_an_answer_that_crosses_the_cancel_is_swallowed_from_its_beginning() -> None:
    peer = asking(7, 1)
    peer.cancel_request()
    assert told(peer, wire.DataFollows(7, 3, 1), b"abc", wire.DataDone(7, 1)) == []
    assert peer.statistics().late_bytes == 3


def test_a_refusal_that_crosses_the_cancel_does_not_end_the_next_request() -> None:
    peer = asking(7, 1)
    peer.cancel_request()
    peer.request(7, 0, 2, 0)
    assert told(peer, wire.Absent(7, 1)) == []
    assert peer.is_downloading


def test_a_request_never_takes_the_id_of_a_cancelled_one_whose_answer_may_come() -> None:
    peer = asking(7, 999)
    peer.cancel_request()
    assert said(peer.request(7, 0, 999, 0)) == [wire.Request(7, 0)]


def test_late_bytes_beyond_what_the_cancelled_transfer_promised_are_a_violation() -> None:
    peer = asking()
    told(peer, wire.DataFollows(7, 4, 1), b"a")
    peer.cancel_request()
    assert violation(told(peer, b"bcd", b"e")) == "unexpected_data"


def test_the_answer_to_a_cancelled_request_comes_once() -> None:
    """All that 2.3.1 may have sent before it reads our cancel is one answer; more is somebody who fills our line."""
    peer = asking(expected_bytes=4)
    peer.cancel_request()
    assert told(peer, wire.DataFollows(7, 4, 1), b"abcd") == []
    assert violation(told(peer, wire.DataFollows(7, 4, 1))) == "unexpected_data"
    assert peer.statistics().late_bytes == 4


def test_an_answer_that_had_begun_when_it_was_cancelled_does_not_begin_again() -> None:
    peer = asking(expected_bytes=4)
    told(peer, wire.DataFollows(7, 4, 1), b"a")
    peer.cancel_request()
    assert violation(told(peer, b"bcd", wire.DataFollows(7, 4, 1))) == "unexpected_data"


@pytest.mark.parametrize(("byte_count", "is_violation"), [(3, False), (4, False), (5, True), (2**26, True)])
def test_a_late_answer_has_no_more_bytes_than_were_missing(byte_count: int, is_violation: bool) -> None:
    peer = asking(expected_bytes=4)
    peer.cancel_request()
    events = told(peer, wire.DataFollows(7, byte_count, 1))
    assert [event.reason for event in events if isinstance(event, ProtocolViolated)] == ["size"] * is_violation


def test_each_of_several_cancelled_requests_may_still_be_answered_once() -> None:
    peer = PeerProtocol()
    for request_id in range(3):
        peer.request(7, 0, request_id, 0, expected_bytes=2)
        peer.cancel_request()
    peer.request(7, 0, 3, 0, expected_bytes=2)
    late = [part for request_id in range(3) for part in (wire.DataFollows(7, 2, request_id), b"ab")]
    assert told(peer, *late) == []
    assert told(peer, wire.DataFollows(7, 2, 3), b"cd") == [DataStarted(7, 2), DataReceived(7, b"cd")]
    assert peer.statistics().late_bytes == 6


def test_late_bytes_count_as_commands_so_that_they_cannot_come_one_by_one_without_end() -> None:
    peer = PeerProtocol(PeerLimits(commands_per_second_max=1))
    peer.request(7, 0, 1, 0)
    peer.cancel_request()
    told(peer, wire.DataFollows(7, 3, 1), b"a")
    assert peer.pause_us == 1_000_000


def test_cancelling_nothing_says_nothing() -> None:
    assert PeerProtocol().cancel_request() == []


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([b"abc"], "unexpected_data"),  # media before data follows
        ([wire.DataFollows(8, 5, 1)], "unexpected_data"),
        ([wire.DataFollows(7, 5, 2)], "unexpected_data"),
        ([wire.DataFollows(7, 2**28 + 1, 1)], "size"),
        ([wire.DataDone(7, 1)], "wrong_id"),  # before data follows
        ([wire.DataFollows(7, 5, 1), wire.DataFollows(7, 5, 1)], "unexpected_data"),
        ([wire.DataFollows(7, 5, 1), b"abcdef"], "too_many_bytes"),
        ([wire.DataFollows(7, 5, 1), b"abcd", wire.DataDone(7, 1)], "too_few_bytes"),
        ([wire.DataFollows(7, 5, 1), b"abcde", wire.DataDone(8, 1)], "wrong_id"),
        ([wire.DataFollows(7, 5, 1), b"abcde", wire.DataDone(7, 2)], "wrong_id"),
        ([wire.DataFollows(7, 5, 1), b"abcde", wire.DataDone(7, 1), b"f"], "unexpected_data"),
        ([wire.Absent(8, 1)], "wrong_id"),
        ([b"cstr\x01cend"], "wire_missing_field"),
        ([b""], "wire_empty"),
    ],
)
def test_what_was_not_asked_for_is_a_violation(messages: list[bytes | wire.Command], reason: str) -> None:
    peer = asking()
    assert violation(told(peer, *messages)[-1:]) == reason
    assert peer.is_violated


@pytest.mark.parametrize("byte_count", [0, 4, 5, 6, 2**28])
def test_how_long_a_segment_is_is_the_word_of_who_sends_it(byte_count: int) -> None:
    assert told(asking(expected_bytes=5), wire.DataFollows(7, byte_count, 1)) == [DataStarted(7, byte_count)]


# --- uploading -------------------------------------------------------------


def test_an_upload_sends_what_it_promised() -> None:
    peer, request = asked()
    assert request == UploadRequested(7, 3, 1)
    messages = peer.begin_upload(request, 5) + list(peer.upload_pieces(request, b"abc"))
    messages += list(peer.upload_pieces(request, b"de")) + peer.end_upload(request)
    assert said(messages) == [
        wire.DataFollows(7, 5, 1),
        wire.Media(b"abc"),
        wire.Media(b"de"),
        wire.DataDone(7, 1),
    ]


def test_a_refused_upload_is_answered_with_absent() -> None:
    peer, request = asked()
    assert said(peer.refuse_upload(request)) == [wire.Absent(7, 1)]
    assert peer.refuse_upload(request) == []


def test_a_cancelled_upload_stops_between_two_pieces() -> None:
    peer = PeerProtocol(piece_bytes_max=32)
    (request,) = told(peer, wire.Request(7, 1))
    assert isinstance(request, UploadRequested)
    peer.begin_upload(request, 96)
    pieces = peer.upload_pieces(request, b"x" * 96)
    assert len(next(pieces)) == 32
    assert told(peer, wire.Cancel(7, 1)) == [UploadCancelled(1)]
    assert list(pieces) == []
    assert peer.end_upload(request) == []


def test_a_new_request_takes_the_place_of_the_upload_under_way() -> None:
    peer, old = asked(1)
    peer.begin_upload(old, 5)
    events = told(peer, wire.Request(9, 2))
    assert events == [UploadCancelled(1), UploadRequested(9, 0, 2)]
    assert list(peer.upload_pieces(old, b"abcde")) == []
    assert said(peer.begin_upload(events[1], 1)) == [wire.DataFollows(9, 1, 2)]  # type: ignore[arg-type]


def test_an_equal_request_after_a_cancel_is_another_one() -> None:
    peer, old = asked()
    _, new = told(peer, wire.Cancel(7, 1), wire.Request(7, 1, 3))
    assert old == new
    assert peer.begin_upload(old, 5) == []
    assert isinstance(new, UploadRequested)
    assert peer.begin_upload(new, 5) != []


def test_a_cancel_that_crosses_the_end_is_counted_and_no_more() -> None:
    peer, request = asked()
    peer.refuse_upload(request)
    assert told(peer, wire.Cancel(7, 1)) == []
    assert peer.statistics().late_commands == 1


def test_promising_other_bytes_than_are_sent_is_our_own_mistake() -> None:
    peer, request = asked()
    peer.begin_upload(request, 5)
    with pytest.raises(PeerMisuse, match="begun"):
        peer.begin_upload(request, 5)
    with pytest.raises(PeerMisuse, match="begun"):
        peer.refuse_upload(request)
    with pytest.raises(PeerMisuse, match="5 bytes unsent"):
        peer.end_upload(request)
    with pytest.raises(PeerMisuse, match="6 bytes"):
        list(peer.upload_pieces(request, b"abcdef"))


def test_sending_before_beginning_is_our_own_mistake() -> None:
    peer, request = asked()
    with pytest.raises(PeerMisuse, match="None were promised"):
        list(peer.upload_pieces(request, b"a"))


# --- limits ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "limits"),
    [
        (wire.Announcement(), PeerLimits(announcements_per_second_max=5, announcements_at_once_max=10)),
        (wire.Request(1, 1), PeerLimits(requests_per_second_max=5)),
    ],
)
def test_who_says_more_than_the_rate_allows_is_listened_to_less_often(
    command: wire.Command, limits: PeerLimits
) -> None:
    def hears(peer: PeerProtocol, now_us: int) -> int:
        for event in told(peer, command, now_us=now_us):
            if isinstance(event, UploadRequested):
                give(peer, event)
        return peer.pause_us

    patient, hasty = PeerProtocol(limits), PeerProtocol(limits)
    assert not any(hears(patient, turn * 200_000) for turn in range(20))
    assert not any(hears(hasty, 0) for _ in range(9))
    assert hears(hasty, 0) == 200_000
    assert not hasty.is_violated
    assert hasty.statistics().pauses == 1


def test_pieces_of_an_endless_command_count_as_commands() -> None:
    peer = PeerProtocol(PeerLimits(commands_per_second_max=1))
    told(peer, b"cstr\x00dend", b"dstr\x00dend")
    assert peer.pause_us == 1_000_000


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50_000)), max_size=300))
def test_however_hasty_a_peer_waiting_as_told_keeps_it_within_its_limits(said: list[tuple[int, int]]) -> None:
    limits = PeerLimits(
        commands_per_second_max=20,
        announcements_per_second_max=5,
        announcements_at_once_max=10,
        requests_per_second_max=10,
    )
    peer, now_us, count = PeerProtocol(limits), 0, 0
    commands = wire.Announcement(), wire.Request(1, 1), wire.Cancel(1, 1), wire.Announcement((1,))
    for kind, gap_us in said:
        now_us += gap_us
        told(peer, commands[kind], now_us=now_us)
        count += 1
        now_us += peer.pause_us
    assert not peer.is_violated
    assert count <= 2 * limits.commands_per_second_max + now_us * limits.commands_per_second_max // 1_000_000 + 1


def test_unknown_commands_are_passed_over_and_counted() -> None:
    peer = PeerProtocol()
    assert told(peer, b"cstr\x77cend") == []
    assert peer.statistics().unknown_commands == 1


def test_after_a_violation_nothing_is_said_or_heard() -> None:
    peer, request = asked()
    told(peer, b"media of nothing")
    assert told(peer, wire.Announcement((1,))) == []
    assert peer.announce((1,), ()) == peer.request(1, 0, 1, 0) == peer.cancel_request() == []
    assert peer.begin_upload(request, 1) == peer.end_upload(request) == peer.refuse_upload(request) == []


@given(st.lists(st.binary(max_size=40) | st.binary(max_size=30).map(lambda body: b"cstr" + body + b"cend")))
def test_whatever_the_other_side_sends_gives_events_and_at_most_one_violation(messages: list[bytes]) -> None:
    peer = asking()
    events = told(peer, *messages)
    assert sum(isinstance(event, ProtocolViolated) for event in events) == peer.is_violated


# --- a recorded conversation -----------------------------------------------


def test_both_sides_of_a_recorded_conversation_are_understood() -> None:
    rows = json.loads((DATA / "datachannel_exchange.json").read_text("utf-8"))["rows"]
    segment = (DATA / "segment_008.m4s").read_bytes()
    sides = {"B_to_A": PeerProtocol(), "A_to_B": PeerProtocol()}  # by what they receive
    other = {"B_to_A": "A_to_B", "A_to_B": "B_to_A"}
    downloaded: list[int] = []
    bytes_received: dict[int, bytes] = {}
    for row in rows:
        way = row.get("direction")
        if way is None:
            continue
        message = bytes.fromhex(row["hex"]) if row["kind"] == "command" else recorded_media(row, segment)
        request = wire.Decoder().receive(message)
        if isinstance(request, wire.Request):  # the sender asked, so its own machine has to know
            sides[other[way]].request(request.number, request.first_byte, request.request_id, 0)
        for event in sides[way].receive(message, int(row["t_ms"] * 1000)):
            assert not isinstance(event, ProtocolViolated)
            if isinstance(event, DataReceived):
                bytes_received[event.number] = bytes_received.get(event.number, b"") + event.data
            if isinstance(event, DataEnded):
                downloaded.append(event.number)
    assert downloaded == [8, 9, 10, 11, 12, 15, 16, 17, 13, 18, 20, 19, 22, 23, 21]
    assert bytes_received[8] == segment


def recorded_media(row: dict[str, object], segment: bytes) -> bytes:
    """The recorded bytes where they are kept, else as many zeros."""
    length = row["length"]
    assert isinstance(length, int)
    for piece in wire.split_media(segment):
        if hashlib.sha256(piece).hexdigest() == row["sha256"]:
            return piece
    return bytes(length)


# --- two machines ----------------------------------------------------------

# Media full of the words that frame commands.
SEGMENTS = [b"cstr" * 20 + b"cend" * 20, b"dstr" + b"dend" * 40, b"", bytes(range(256)), b"dstrcend" * 30]


class Side:
    """One machine with its segments, what it is sending, and what it has received."""

    def __init__(self) -> None:
        self.machine = PeerProtocol(piece_bytes_max=16)
        self.inbox: deque[bytes] = deque()
        self.uploads: list[tuple[UploadRequested, deque[int]]] = []  # kept when cancelled: late ones must do no harm
        self.wanted: tuple[int, int] | None = None
        self.got = b""


class TwoMachines(RuleBasedStateMachine):
    """Whatever the interleaving, a download that ends has exactly the bytes that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = (Side(), Side())

    def send(self, sender: int, messages: list[bytes]) -> None:
        self.sides[1 - sender].inbox.extend(messages)

    @rule(who=st.integers(0, 1), number=st.integers(0, 5), first_byte=st.integers(0, 90), request_id=st.integers(0, 3))
    def request(self, who: int, number: int, first_byte: int, request_id: int) -> None:
        side = self.sides[who]
        if side.machine.is_downloading:
            return
        side.wanted, side.got = (number, first_byte), b""
        expected = len(SEGMENTS[number][first_byte:]) if number < len(SEGMENTS) else None
        self.send(who, side.machine.request(number, first_byte, request_id, 0, expected_bytes=expected))

    @rule(who=st.integers(0, 1))
    def cancel(self, who: int) -> None:
        self.sides[who].wanted = None
        self.send(who, self.sides[who].machine.cancel_request())

    @rule(who=st.integers(0, 1), numbers=st.sets(st.integers(0, 600)))
    def announce(self, who: int, numbers: set[int]) -> None:
        self.send(who, self.sides[who].machine.announce(numbers, ()))

    @rule(who=st.integers(0, 1), count=st.integers(1, 8))
    def deliver(self, who: int, count: int) -> None:
        side = self.sides[who]
        for _ in range(min(count, len(side.inbox))):
            for event in side.machine.receive(side.inbox.popleft(), 0):
                self.happened(who, event)

    def happened(self, who: int, event: PeerEvent) -> None:
        side = self.sides[who]
        match event:
            case UploadRequested(number, first_byte) if number < len(SEGMENTS):
                data = SEGMENTS[number][first_byte:]
                self.send(who, side.machine.begin_upload(event, len(data)))
                side.uploads.append((event, deque(data)))
            case UploadRequested():
                self.send(who, side.machine.refuse_upload(event))
            case DataReceived(number, data):
                assert side.wanted is not None
                assert number == side.wanted[0]
                side.got += data
            case DataEnded(number):
                assert side.wanted is not None
                assert side.got == SEGMENTS[number][side.wanted[1] :]
            case ProtocolViolated():
                raise AssertionError(event)

    @precondition(lambda self: any(side.uploads for side in self.sides))
    @rule(who=st.integers(0, 1), place=st.integers(0, 3), count=st.integers(1, 64))
    def upload(self, who: int, place: int, count: int) -> None:
        side = self.sides[who]
        if not side.uploads:
            return
        request, data = side.uploads[place % len(side.uploads)]
        part = bytes(data.popleft() for _ in range(min(count, len(data))))
        self.send(who, list(side.machine.upload_pieces(request, part)))
        if not data:
            self.send(who, side.machine.end_upload(request))
            side.uploads.remove((request, data))

    @invariant()
    def nobody_complains(self) -> None:
        assert not any(side.machine.is_violated for side in self.sides)

    def teardown(self) -> None:
        """Left alone, every download under way ends."""
        for _ in range(200):
            for who in (0, 1):
                self.deliver(who, 100)
                self.upload(who, 0, 64)
        assert not any(side.machine.is_downloading for side in self.sides)


TestTwoMachines = TwoMachines.TestCase


def paused_by(ids: int, per_second: int, seconds: int) -> int:
    """For how long one is not listened to who announces so many ids so often, and waits for us meanwhile."""
    ours, theirs = PeerProtocol(), PeerProtocol()
    paused_us = 0
    for turn in range(per_second * seconds):
        for message in theirs.announce(range(1, ids + turn % 2), ()):
            events = ours.receive(message, turn * 1_000_000 // per_second + paused_us)
            assert isinstance(events[0], Announced)
            paused_us += ours.pause_us
    return paused_us


def test_a_viewer_of_a_long_video_may_announce_at_every_change_of_its_store() -> None:
    assert paused_by(ids=1_800, per_second=25, seconds=60) == 0


def test_announcements_that_name_very_much_are_heard_less_often() -> None:
    assert paused_by(ids=16_000, per_second=50, seconds=10) > 10_000_000


TestTwoMachines.settings = settings(max_examples=60 * EFFORT, stateful_step_count=40, deadline=None)
