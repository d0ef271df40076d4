"""Several peers of ours for one segment: who is asked, and what follows when one of them fails, leaves or lies."""

from __future__ import annotations

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    BanPeer,
    CancelTransfer,
    PartEnded,
    PartFailed,
    PeerAnnounced,
    PeerGreeted,
    PeerJoined,
    PeerLeft,
    PeerUploadState,
    RequestFromPeer,
    SourceBlamed,
    TransferFailed,
)

from .test_policy import SECOND, SIZE, Table

SLOW = SIZE // 60  # a second: alone later than anything that is prefetched


def requests(actions: list) -> list[RequestFromPeer]:
    return [action for action in actions if isinstance(action, RequestFromPeer)]


def table_with(*names: str, greeted: str = "", bytes_per_s: int = SLOW) -> Table:
    """A player with a buffer, and measured peers that hold nothing yet."""
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0, peer_transfers_max=1))
    table.playing(until=3)
    for name in names:
        table.feed(PeerJoined(name, 0))
        if name in greeted:
            table.feed(PeerGreeted(name))
        estimate = table.policy._book.peers[name].estimate
        estimate.sample(SECOND, bytes_per_s, table.now_us)
        estimate.first_byte(20_000)
    return table


def announced(table: Table, *names: str) -> list[RequestFromPeer]:
    held = frozenset(range(20))
    return [one for name in names for one in requests(table.feed(PeerAnnounced(name, held, frozenset())))]


def together(table: Table, *names: str) -> RequestFromPeer:
    (request,) = announced(table, *names)
    assert request.beside
    return request


def state(table: Table, name: str) -> str:
    return {one.name: one.state for one in table.policy.source_states(table.now_us)}[f"peer:{name}"]


def test_who_is_in_time_alone_is_asked_alone() -> None:
    table = table_with(*"pqr", greeted="pqr", bytes_per_s=SIZE)
    assert [one.beside for one in announced(table, *"pqr")] == [()]


def test_peers_that_are_late_alone_are_asked_together_and_no_more_of_them_than_it_takes() -> None:
    table = table_with(*"pqrst", greeted="pqrst")
    request = together(table, *"pqrst")
    assert 1 <= len(request.beside) < 4


def test_of_others_than_ours_no_range_is_asked() -> None:
    table = table_with(*"pqrst", greeted="p")
    assert announced(table, *"pqrst") == []


def test_when_one_of_several_fails_the_others_go_on_and_it_is_left_alone_for_a_while() -> None:
    table = table_with(*"pqrst", greeted="pqrst")
    request = together(table, *"pqrst")
    assert not requests(table.feed(PartFailed(request.transfer, request.peer, "stalled")))
    assert state(table, request.peer) == "suspect"
    assert {state(table, name) for name in request.beside} == {"new"}
    (left,) = table.policy._book.transfers.values()
    assert left.label == f"peer:{request.beside[0]}"


def test_when_one_of_several_leaves_the_transfer_goes_on_and_when_the_last_fails_it_is_over() -> None:
    table = table_with(*"pqrst", greeted="pqrst")
    request = together(table, *"pqrst")
    everybody = (request.peer, *request.beside)
    for name in everybody[:-1]:
        table.feed(PeerLeft(name, "closed"))
    assert list(table.policy._book.transfers) == [request.transfer]
    table.feed(TransferFailed(request.transfer, "closed"))
    assert request.transfer not in table.policy._book.transfers


def test_who_lied_among_several_is_banned_and_the_others_are_free() -> None:
    table = table_with(*"pqrst", greeted="pqrst")
    request = together(table, *"pqrst")
    liar = request.beside[0]
    actions = table.feed(SourceBlamed(request.key, f"peer:{liar}", 0))
    assert BanPeer(liar, "wrong bytes") in actions
    assert any(isinstance(one, CancelTransfer) and one.transfer == request.transfer for one in actions)
    assert liar not in {name for one in requests(actions) for name in (one.peer, *one.beside)}


def test_each_range_that_came_is_a_measurement_of_its_peer() -> None:
    table = table_with(*"pqrst", greeted="pqrst")
    request = together(table, *"pqrst")
    table.feed(PartEnded(request.transfer, request.peer, SIZE, SECOND))
    measured = table.policy._book.peers[request.peer].estimate.bytes_per_s
    assert measured is not None
    assert measured > SLOW


def test_who_says_that_it_is_busy_is_not_asked_until_it_says_otherwise_or_two_seconds_have_passed() -> None:
    for says_free in (True, False):
        table = table_with("p", greeted="p", bytes_per_s=SIZE)
        table.feed(PeerUploadState("p", "busy"))
        assert announced(table, "p") == []
        if says_free:
            assert requests(table.feed(PeerUploadState("p", "free")))
        else:
            assert requests(table.until(table.now_us + 3 * SECOND))


def test_a_refusal_for_now_is_no_failure_and_costs_no_attempt() -> None:
    table = table_with("p", greeted="p", bytes_per_s=SIZE)
    (request,) = announced(table, "p")
    for _ in range(5):
        assert not requests(table.feed(TransferFailed(request.transfer, "busy")))
        (request,) = requests(table.until(table.now_us + 3 * SECOND))
    assert state(table, "p") != "suspect"
