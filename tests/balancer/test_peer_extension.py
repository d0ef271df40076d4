"""One peer's machine with a peer of ours at the other end, and with others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.balancer import wire
from shoal.balancer.extension import CLAIM_BYTES, Greeting, Hashes, UploadState
from shoal.balancer.peer import (
    CLAIMS_MAX,
    Absent,
    ClaimsHeard,
    DataEnded,
    DataReceived,
    DataStarted,
    Greeted,
    PeerEvent,
    PeerLimits,
    PeerMisuse,
    PeerProtocol,
    ProtocolViolated,
    UploadRequested,
    UploadStateHeard,
)


def heard(peer: PeerProtocol, messages: list[bytes], now_us: int = 0) -> list[PeerEvent]:
    return [event for message in messages for event in peer.receive(message, now_us)]


def said(peer: PeerProtocol, *commands: wire.Command) -> list[PeerEvent]:
    return heard(peer, [message for command in commands for message in wire.encode(command)])


def two_of_ours() -> tuple[PeerProtocol, PeerProtocol]:
    one, other = PeerProtocol(), PeerProtocol()
    assert heard(other, one.greet()) == heard(one, other.greet()) == [Greeted(1)]
    return one, other


def sent(peer: PeerProtocol, request: UploadRequested, data: bytes) -> Iterator[bytes]:
    yield from peer.begin_upload(request, len(data), total_bytes=1_000)
    yield from peer.upload_pieces(request, data)
    yield from peer.end_upload(request)


def test_a_greeting_is_said_once_and_heard_once() -> None:
    one, other = two_of_ours()
    assert one.greet() == []
    assert said(other, Greeting(1)) == []
    assert other.statistics().unknown_commands == 1


def test_of_a_later_version_what_both_know_is_said() -> None:
    assert said(PeerProtocol(), Greeting(9)) == [Greeted(1)]
    assert said(PeerProtocol(), Greeting(0)) == []


def test_to_who_has_not_greeted_nothing_of_it_is_said() -> None:
    peer = PeerProtocol()
    assert peer.tell_claims({1: bytes(CLAIM_BYTES)}) == peer.tell_state("busy") == []
    with pytest.raises(PeerMisuse, match="none of our peers"):
        peer.request(7, 0, 1, 0, end_byte=10)
    (request,) = said(peer, wire.Request(7, 1, 0, 10))
    assert request == UploadRequested(7, 0, 1)
    assert isinstance(request, UploadRequested)
    assert peer.refuse_upload(request, "busy") == wire.encode(wire.Absent(7, 1))


def test_a_range_comes_with_the_length_of_the_whole() -> None:
    one, other = two_of_ours()
    (request,) = heard(other, one.request(7, 100, 1, 0, end_byte=103))
    assert request == UploadRequested(7, 100, 1, 103)
    assert isinstance(request, UploadRequested)
    events = heard(one, list(sent(other, request, b"abc")))
    assert events == [DataStarted(7, 3, 1_000), DataReceived(7, b"abc"), DataEnded(7)]


def test_a_range_beyond_the_end_comes_as_far_as_there_is_something() -> None:
    one, _ = two_of_ours()
    one.request(7, 100, 1, 0, end_byte=2_000)
    assert said(one, wire.DataFollows(7, 900, 1, 1_000)) == [DataStarted(7, 900, 1_000)]


@pytest.mark.parametrize(
    "follows",
    [
        wire.DataFollows(7, 3, 1),  # and how long is it?
        wire.DataFollows(7, 4, 1, 1_000),  # more than was asked for
        wire.DataFollows(7, 2, 1, 1_000),  # less
        wire.DataFollows(7, 0, 1, 50),  # it ends before
        wire.DataFollows(7, 3, 1, 2**40),  # longer than any segment
    ],
)
def test_an_answer_that_is_not_the_range_is_a_violation(follows: wire.DataFollows) -> None:
    one, _ = two_of_ours()
    one.request(7, 100, 1, 0, end_byte=103)
    (event,) = said(one, follows)
    assert isinstance(event, ProtocolViolated)
    assert event.reason == "size"


def test_after_a_range_a_request_to_the_end_is_one_to_the_end() -> None:
    one, other = two_of_ours()
    heard(one, other.refuse_upload(heard(other, one.request(7, 0, 1, 0, end_byte=5))[0], "range"))  # type: ignore[arg-type]
    one.request(7, 0, 2, 0)
    assert said(one, wire.DataFollows(7, 9, 2)) == [DataStarted(7, 9)]


@pytest.mark.parametrize("reason", ["absent", "busy", "choked", "range"])
def test_a_refusal_says_why(reason: str) -> None:
    one, other = two_of_ours()
    (request,) = heard(other, one.request(7, 0, 1, 0))
    assert isinstance(request, UploadRequested)
    assert heard(one, other.refuse_upload(request, reason)) == [Absent(7, reason)]


def test_hashes_are_told_as_far_as_they_are_news() -> None:
    one, other = two_of_ours()
    claims = {number: bytes([number % 256]) * CLAIM_BYTES for number in range(300)}
    events = heard(other, one.tell_claims(claims))
    assert [len(event.claims) for event in events if isinstance(event, ClaimsHeard)] == [255, 45]
    assert one.tell_claims(claims) == []
    claims[300] = claims[7] = b"!" * CLAIM_BYTES
    assert heard(other, one.tell_claims(claims)) == [ClaimsHeard({7: claims[7], 300: claims[300]})]
    del claims[300]
    assert one.tell_claims(claims) == []
    claims[300] = b"!" * CLAIM_BYTES  # it was dropped, and is held again
    assert heard(other, one.tell_claims(claims)) == [ClaimsHeard({300: claims[300]})]


def test_who_has_no_hashes_says_that_once() -> None:
    one, other = two_of_ours()
    assert heard(other, one.tell_claims({})) == [ClaimsHeard({})]
    assert one.tell_claims({}) == []


def test_of_very_many_hashes_the_newest_are_told_and_the_rest_is_counted() -> None:
    one, other = two_of_ours()
    events = heard(other, one.tell_claims(dict.fromkeys(range(CLAIMS_MAX + 10), bytes(CLAIM_BYTES))))
    told = [number for event in events if isinstance(event, ClaimsHeard) for number in event.claims]
    assert told == list(range(10, CLAIMS_MAX + 10))
    assert one.statistics().claims_not_told == 10


def test_the_state_of_uploads_is_told_and_heard_when_it_changes() -> None:
    one, other = two_of_ours()
    assert one.tell_state("free") == []
    assert heard(other, one.tell_state("busy")) == [UploadStateHeard("busy")]
    assert one.tell_state("busy") == []
    assert said(other, UploadState(1)) == []
    assert said(other, UploadState(7)) == []  # of a later version
    assert heard(other, one.tell_state("choked")) == [UploadStateHeard("choked")]


@pytest.mark.parametrize("command", [Hashes((1,), (bytes(CLAIM_BYTES),)), UploadState(0)])
def test_who_says_such_things_without_end_is_listened_to_less_often(command: wire.Command) -> None:
    peer = PeerProtocol(PeerLimits(announcements_per_second_max=5, announcements_at_once_max=10))
    said(peer, Greeting(1), *[command] * 10)
    assert peer.pause_us == 200_000


def test_after_a_violation_nothing_of_it_is_said() -> None:
    one, _ = two_of_ours()
    said(one, wire.DataDone(7, 1))
    assert one.is_violated
    assert one.greet() == one.tell_claims({1: bytes(CLAIM_BYTES)}) == one.tell_state("busy") == []
