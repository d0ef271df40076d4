"""How often one is heard who says what nothing follows from."""

from __future__ import annotations

import pytest

from shoal.balancer import wire
from shoal.balancer.peer import PeerProtocol, UploadRequested

SECONDS = 60


def heard_per_second(commands: list[wire.Command], *, gives: bytes | None = None, total_bytes: int = 1) -> float:
    """Of one that says these in turn as fast as it is listened to, for a minute.

    What it asks for is refused, or it is sent `gives` of a segment of `total_bytes`.
    """
    peer, now_us, count = PeerProtocol(), 0, 0
    while now_us < SECONDS * 1_000_000:
        for message in wire.encode(commands[count % len(commands)]):
            for event in peer.receive(message, now_us):
                if isinstance(event, UploadRequested) and gives is None:
                    peer.refuse_upload(event)
                elif isinstance(event, UploadRequested):
                    send(peer, event, gives or b"", total_bytes)
        count += 1
        now_us += max(peer.pause_us, 1)
    assert not peer.is_violated
    return count / SECONDS


def send(peer: PeerProtocol, request: UploadRequested, data: bytes, total_bytes: int) -> None:
    peer.begin_upload(request, len(data), total_bytes=total_bytes)
    for _ in peer.upload_pieces(request, data):
        pass
    peer.end_upload(request)


@pytest.mark.parametrize(
    ("commands", "most"),
    [
        ([wire.Request(1, 1)], 12),  # for what is not there
        ([wire.Announcement((1,)), wire.Announcement((2,))], 45),  # and so much at once in the beginning
        ([wire.Cancel(1, 1)], 60),  # of nothing
        ([wire.Announcement((1,)), wire.Request(1, 1), wire.Cancel(1, 1)], 36),
    ],
)
def test_what_nothing_follows_from_is_heard_some_times_a_second(commands: list[wire.Command], most: float) -> None:
    """So that a peer costs some percent of a core, whatever it says: each command is about half a millisecond."""
    assert heard_per_second(commands) <= most


def test_who_is_given_what_it_asks_for_may_ask_as_fast_as_it_takes_it() -> None:
    assert heard_per_second([wire.Request(1, 1)], gives=bytes(20_000), total_bytes=500_000) > 195


def test_of_a_small_segment_all_is_worth_as_much_as_a_part_of_a_large_one() -> None:
    assert heard_per_second([wire.Request(1, 1)], gives=b"a", total_bytes=1) > 195


@pytest.mark.parametrize("gives", [b"", b"a", bytes(16_000)])
def test_who_asks_for_next_to_nothing_of_a_segment_is_heard_some_times_a_second(gives: bytes) -> None:
    assert heard_per_second([wire.Request(1, 1, 499_999)], gives=gives, total_bytes=500_000) <= 12


@pytest.mark.parametrize(
    "commands", [[wire.Request(1, 1), wire.Cancel(1, 1)], [wire.Request(1, 1), wire.Request(1, 2)]]
)
def test_who_asks_and_takes_it_back_is_heard_some_times_a_second(commands: list[wire.Command]) -> None:
    """Before anything was sent: each makes a look into the store all the same."""
    peer, now_us, requests = PeerProtocol(), 0, 0
    while now_us < SECONDS * 1_000_000:
        for command in commands:
            for message in wire.encode(command):
                peer.receive(message, now_us)
            requests += isinstance(command, wire.Request)
            now_us += max(peer.pause_us, 1)
    assert not peer.is_violated
    assert requests / SECONDS <= 12


def test_who_asks_for_some_that_are_gone_is_heard_at_once() -> None:
    peer = PeerProtocol()
    for number in range(40):
        (request,) = (event for message in wire.encode(wire.Request(number, 1)) for event in peer.receive(message, 0))
        assert isinstance(request, UploadRequested)
        if number % 8 == 7:
            send(peer, request, b"a", total_bytes=1)
        else:
            peer.refuse_upload(request)
        assert peer.pause_us == 0


def test_one_request_that_is_granted_does_not_make_up_for_those_before_it() -> None:
    """Or a peer would take a little now and then, and ask in vain for the rest of the time."""
    peer, now_us, count = PeerProtocol(), 0, 0
    while now_us < SECONDS * 1_000_000:
        for message in wire.encode(wire.Request(1, 1)):
            for event in peer.receive(message, now_us):
                assert isinstance(event, UploadRequested)
                send(peer, event, b"" if count % 5 else b"a", total_bytes=1)
        count += 1
        now_us += max(peer.pause_us, 1)
    assert count / SECONDS <= 5 / 4 * 12
