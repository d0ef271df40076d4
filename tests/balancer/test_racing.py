"""Two sources for one resource: when a second begins, who stays, and what it may cost."""

from __future__ import annotations

from tests.balancer.test_policy import SECOND, SIZE, Table, media, only

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    CancelTransfer,
    FetchFromCdn,
    PeerLeft,
    RequestFromPeer,
    ResourceCompleted,
    ResourceReleased,
    ResourceRequested,
    SourceBlamed,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
)

TENTH = SECOND // 10


def with_two_cdns(**settings: float) -> Table:
    """Four segments came, and with them the right to some bytes that come twice; segment 4 is asked for, of one CDN."""
    table = Table("a", "b", config=BalancerConfig(cdn_transfers_max=0, **settings))
    table.playing(until=3)
    assert only(table.feed(ResourceRequested(media(4)))).transfer == 5
    return table


def drag(table: Table, transfer: int, *, seconds: int, bytes_per_s: int = 40_000, started: bool = False) -> list:
    """The transfer comes at that speed, until another is asked."""
    seen = [] if started else table.feed(TransferStarted(transfer, SIZE))
    for _ in range(seconds * 10):
        seen += table.feed(TransferProgressed(transfer, bytes_per_s // 10), after_us=TENTH)
        seen += table.until(table.now_us)
        if any(isinstance(action, FetchFromCdn | CancelTransfer) for action in seen):
            break
    return seen


def racing(**settings: float) -> tuple[Table, FetchFromCdn]:
    """Transfer 5 drags, and another CDN is asked beside it."""
    table = with_two_cdns(**settings)
    rival = only(drag(table, 5, seconds=10))
    assert isinstance(rival, FetchFromCdn)
    return table, rival


def test_beside_a_slow_transfer_another_begins_at_the_byte_reached_and_the_first_goes_on():
    table, rival = racing()
    reached = table.policy._book.wants[media(4)].received_bytes
    assert (rival.key, rival.first_byte, rival.why) == (media(4), reached, "race")
    assert rival.cdn != table.policy._book.transfers[5].label.removeprefix("cdn:")


def test_without_bytes_in_hand_that_may_come_twice_it_is_moved():
    table = with_two_cdns(race_share=0.0)
    seen = drag(table, 5, seconds=10)
    assert seen[0] == CancelTransfer(5, "slow")
    assert seen[1].why == "failover"


def test_who_is_ahead_stays():
    table, rival = racing()
    table.feed(TransferStarted(rival.transfer, SIZE), after_us=TENTH)
    table.feed(TransferProgressed(5, 4_000))
    assert table.feed(TransferProgressed(rival.transfer, 96_000, repeated_bytes=4_000), after_us=TENTH)[
        0
    ] == CancelTransfer(5, "raced")
    assert list(table.policy._book.transfers) == [rival.transfer]


def test_the_first_stays_if_it_is_done_before_the_other_has_answered():
    table, rival = racing()
    reached = table.policy._book.wants[media(4)].received_bytes
    table.feed(TransferProgressed(5, SIZE - reached), after_us=TENTH)
    assert table.feed(TransferEnded(5))[0] == CancelTransfer(rival.transfer, "raced")
    table.feed(ResourceCompleted(media(4), SIZE))
    assert not table.policy._book.transfers


def test_two_that_only_share_the_line_do_not_race_on():
    table, rival = racing()
    table.feed(TransferStarted(rival.transfer, SIZE), after_us=TENTH)
    seen = []
    for _ in range(10):
        table.feed(TransferProgressed(5, 2_000), after_us=TENTH // 2)
        seen += table.feed(TransferProgressed(rival.transfer, 0, repeated_bytes=2_000), after_us=TENTH // 2)
        seen += table.until(table.now_us)
    assert seen[0] == CancelTransfer(rival.transfer, "raced")
    assert 5 in table.policy._book.transfers


def test_a_rival_that_is_clearly_faster_stays_before_it_is_ahead():
    table, rival = racing()
    table.feed(TransferProgressed(5, 400_000), after_us=TENTH)  # a burst
    table.feed(TransferStarted(rival.transfer, SIZE))
    seen = []
    for _ in range(10):
        seen += table.feed(TransferProgressed(5, 500), after_us=TENTH // 2)
        seen += table.feed(TransferProgressed(rival.transfer, 0, repeated_bytes=6_000), after_us=TENTH // 2)
        seen += table.until(table.now_us)
    assert CancelTransfer(rival.transfer, "raced") in seen or CancelTransfer(5, "raced") in seen
    assert len(table.policy._book.transfers) == 1


def test_when_what_may_come_twice_is_used_up_the_one_that_is_behind_stops():
    table, rival = racing()
    table.feed(TransferProgressed(5, 300_000), after_us=TENTH)
    table.feed(TransferStarted(rival.transfer, SIZE))
    seen = table.feed(TransferProgressed(rival.transfer, 0, repeated_bytes=200_000), after_us=TENTH)
    assert seen[0] == CancelTransfer(rival.transfer, "raced")


def test_when_one_of_two_fails_the_other_goes_on():
    for failing_is_first in (True, False):
        table, rival = racing()
        failing, other = (5, rival.transfer) if failing_is_first else (rival.transfer, 5)
        assert not [a for a in table.feed(TransferFailed(failing, "reset")) if isinstance(a, FetchFromCdn)]
        assert list(table.policy._book.transfers) == [other]
        table.feed(TransferStarted(other, SIZE))
        left = SIZE - table.policy._book.wants[media(4)].received_bytes
        table.feed(TransferProgressed(other, left))
        table.feed(TransferEnded(other))
        table.feed(ResourceCompleted(media(4), SIZE))
        assert not table.policy._book.transfers


def test_nobody_waits_any_more_so_both_stop():
    table, rival = racing()
    seen = table.feed(ResourceReleased(media(4)))
    assert {a.transfer for a in seen if isinstance(a, CancelTransfer)} == {5, rival.transfer}


def test_wrong_bytes_stop_both_since_the_other_would_leave_a_gap():
    table, rival = racing()
    first = table.policy._book.transfers[5].label
    seen = table.feed(SourceBlamed(media(4), first, 0))
    assert {a.transfer for a in seen if isinstance(a, CancelTransfer)} == {5, rival.transfer}
    again = [a for a in seen if isinstance(a, FetchFromCdn)]
    assert [a.first_byte for a in again] == [0]


# --- silence ---


def unanswered(**settings: float) -> tuple[Table, RequestFromPeer]:
    """A measured peer is asked for what plays soon, and says nothing."""
    table = Table("a", config=BalancerConfig(cdn_transfers_max=0, peer_transfers_max=0, **settings))
    table.playing(until=3)
    table.join("p")
    book = table.policy._book
    book.peers["p"].estimate.first_byte(20_000)
    book.peers["p"].estimate.sample(SECOND, 4 * SIZE, table.now_us)
    # The player asks late: its buffer has run down to a second and a half.
    table.until(book.deadline_us(media(4)) - 3 * SECOND // 2)
    asked = only([a for a in table.feed(ResourceRequested(media(4))) if isinstance(a, RequestFromPeer)])
    return table, asked


def test_beside_a_peer_that_is_silent_at_the_last_safe_moment_a_cdn_is_asked():
    table, asked = unanswered()
    seen = table.until(table.now_us + 350_000)
    rival = only(seen)
    assert (rival.key, rival.why) == (media(4), "race")
    assert asked.transfer in table.policy._book.transfers


def test_of_a_silent_one_and_its_rival_whoever_brings_the_next_byte_stays():
    for peer_answers in (True, False):
        table, asked = unanswered()
        rival = only(table.until(table.now_us + 350_000))
        winner, loser = (asked, rival) if peer_answers else (rival, asked)
        table.feed(TransferStarted(winner.transfer, SIZE))
        assert table.feed(TransferProgressed(winner.transfer, 10_000))[0] == CancelTransfer(loser.transfer, "raced")


def test_a_rival_is_asked_of_nobody_while_there_is_time():
    table, _ = unanswered()
    book = table.policy._book
    book.timelines[0].origin_us += 20 * SECOND  # all plays later
    assert not [a for a in table.until(table.now_us + 350_000) if isinstance(a, FetchFromCdn)]


def test_a_peer_that_leaves_during_a_race_leaves_it_to_the_other():
    table, asked = unanswered()
    rival = only(table.until(table.now_us + 350_000))
    table.feed(TransferFailed(asked.transfer, "closed"))
    table.feed(PeerLeft("p", "closed"))
    assert list(table.policy._book.transfers) == [rival.transfer]


# --- a peer that turns out slow near the playhead ---


def answered(*, more_us: int = 0, finishes_us: int) -> list:
    """A peer is asked for what plays in 1.5 s, or more, and what it sends would be there after that time.

    All that is done until a CDN is asked, or the peer has sent for a third of a second.
    """
    table, asked = unanswered()
    table.policy._book.timelines[0].origin_us += more_us
    seen = table.feed(TransferStarted(asked.transfer, SIZE), after_us=20_000)
    for _ in range(7):
        seen += table.until(table.now_us + SECOND // 20)
        seen += table.feed(TransferProgressed(asked.transfer, SIZE * (SECOND // 20) // finishes_us))
        if seen:
            break
    return seen


def test_a_peer_that_is_too_slow_is_found_out_while_a_cdn_can_still_be_in_time():
    seen = answered(finishes_us=5 * SECOND)
    assert [action.why for action in seen if isinstance(action, FetchFromCdn)] == ["race"]


def test_a_peer_that_would_be_in_time_by_less_than_a_look_is_not_relied_on():
    assert any(isinstance(action, FetchFromCdn) for action in answered(finishes_us=1_400_000))
    assert not answered(finishes_us=900_000)


def test_while_there_is_time_a_slow_peer_is_looked_at_for_longer():
    assert not answered(finishes_us=20 * SECOND, more_us=10 * SECOND)


def test_a_peer_of_which_no_message_has_come_yet_is_not_taken_for_slow():
    table, asked = unanswered()
    seen = table.feed(TransferStarted(asked.transfer, SIZE), after_us=20_000)
    for _ in range(6):  # a third of a second, which 64 kB take at 200 kB/s
        seen += table.until(table.now_us + SECOND // 20)
    assert not seen
    assert asked.transfer in table.policy._book.transfers
