"""How often one is heard who says what nothing follows from."""

from __future__ import annotations

import pytest

from shoal.balancer import wire
from shoal.balancer.peer import PeerProtocol, UploadRequested

SECONDS = 60


def heard_per_second(commands: list[wire.Command], *, gives: bool = False) -> float:
    """Of one that says these in turn as fast as it is listened to, for a minute; what it asks for is refused."""
    peer, now_us, count = PeerProtocol(), 0, 0
    while now_us < SECONDS * 1_000_000:
        for message in wire.encode(commands[count % len(commands)]):
            for event in peer.receive(message, now_us):
                if isinstance(event, UploadRequested):
                    for _ in (peer.begin_upload(event, 0), peer.end_upload(event)) if gives else ():
                        pass
                    peer.refuse_upload(event)
        count += 1
        now_us += max(peer.pause_us, 1)
    assert not peer.is_violated
    return count / SECONDS


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
    assert heard_per_second([wire.Request(1, 1)], gives=True) > 195


def test_one_request_that_is_granted_makes_up_for_those_that_were_refused() -> None:
    peer = PeerProtocol()
    for number in range(40):
        (request,) = (event for message in wire.encode(wire.Request(number, 1)) for event in peer.receive(message, 0))
        assert isinstance(request, UploadRequested)
        if number % 8 == 7:
            peer.begin_upload(request, 0)
            peer.end_upload(request)
        else:
            peer.refuse_upload(request)
        assert peer.pause_us == 0
