"""A CDN that was left: was it the CDN, or the viewer's own line?  And how long who is cheaper is stayed with."""

from __future__ import annotations

from tests.balancer.test_policy import SECOND, SIZE, Table, media, only

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    CancelTransfer,
    CdnAdded,
    FetchFromCdn,
    ResourceRequested,
    TransferEnded,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
)
from shoal.balancer.ledger import Ledger
from shoal.balancer.trials import Trials

TENTH = SECOND // 10


def asked(actions: list) -> FetchFromCdn:
    return only([action for action in actions if isinstance(action, FetchFromCdn)])


def next_asked(table: Table) -> FetchFromCdn:
    """Who is asked next, as time passes."""
    seen: list = []
    for _ in range(100):
        seen += [a for a in table.until(table.now_us + TENTH) if isinstance(a, FetchFromCdn)]
        if seen:
            break
    return only(seen)


def estimate(table: Table, cdn: str) -> Estimate:
    return table.policy._book.cdns[f"cdn:{cdn}"].estimate


def silent() -> tuple[Table, str, FetchFromCdn]:
    """Over a line that carried 2 MB/s one CDN stops in the middle of a body, and another is asked for the rest."""
    table = Table("a", "b", config=BalancerConfig(race_share=0.0, cdn_transfers_max=0))
    table.playing(until=0)
    first = asked(table.feed(ResourceRequested(media(1))))
    table.feed(TransferStarted(first.transfer, SIZE), after_us=TENTH // 2)
    table.feed(TransferProgressed(first.transfer, SIZE // 5), after_us=TENTH)
    return table, first.cdn, next_asked(table)


def test_a_silent_cdn_is_marked_once_another_sends_as_the_line_is_used_to():
    table, first, other = silent()
    assert other.cdn != first
    assert estimate(table, first).error_count + table.policy._book.cdns[f"cdn:{first}"].falls == 0
    comes(table, other.transfer, SIZE, seconds=1)
    assert estimate(table, first).error_count + table.policy._book.cdns[f"cdn:{first}"].falls == 1


def test_where_the_other_answers_and_sends_next_to_nothing_it_was_the_line_and_nothing_is_marked():
    table, first, other = silent()
    comes(table, other.transfer, 20_000, seconds=1)
    assert estimate(table, first).error_count + table.policy._book.cdns[f"cdn:{first}"].falls == 0


def test_one_that_never_answered_is_marked_at_once():
    table = Table("a", "b", config=BalancerConfig(race_share=0.0))
    first = asked(table.feed(ResourceRequested(media(0))))
    next_asked(table)
    assert estimate(table, first.cdn).errors == {"stalled": 1}


def slow(bytes_per_s: int) -> tuple[Table, str, FetchFromCdn]:
    """Somebody waits for a first segment, which comes that slowly until another CDN goes on with it."""
    table = Table("a", "b", config=BalancerConfig(race_share=0.0))
    for cdn in "ab":
        estimate(table, cdn).sample(SECOND, SIZE, 0)
    first = asked(table.feed(ResourceRequested(media(0))))
    return table, first.cdn, asked(comes(table, first.transfer, bytes_per_s, seconds=5))


def comes(table: Table, transfer: int, bytes_per_s: int, *, seconds: int) -> list:
    """Its bytes, until another is asked."""
    seen = table.feed(TransferStarted(transfer, SIZE), after_us=TENTH // 2)
    for _ in range(seconds * 10):
        seen += table.feed(TransferProgressed(transfer, bytes_per_s // 10), after_us=TENTH)
        seen += table.until(table.now_us)
        if any(isinstance(action, FetchFromCdn) for action in seen):
            break
    return seen


def test_a_slow_cdn_is_believed_to_be_slow_once_another_is_clearly_faster():
    table, first, other = slow(40_000)
    assert estimate(table, first).bytes_per_s > 40_000  # what it had been before counts until then
    comes(table, other.transfer, 400_000, seconds=1)
    assert estimate(table, first).bytes_per_s <= 40_000
    assert table.policy._book.cdns[f"cdn:{first}"].falls == 1


def test_where_the_other_is_as_slow_nothing_is_marked():
    table, first, other = slow(40_000)
    comes(table, other.transfer, 40_000, seconds=1)
    assert table.policy._book.cdns[f"cdn:{first}"].falls == 0


def test_after_three_trials_in_vain_nobody_is_left_for_a_second():
    trials = Trials(Ledger(BalancerConfig(), 1))
    for _ in range(2):
        trials.in_vain(SECOND)
        assert trials.hold_until_us == 0
    trials.in_vain(SECOND)
    assert trials.hold_until_us == 2 * SECOND
    trials.gained()
    assert trials.hold_until_us == 0


def test_of_a_part_that_ended_meanwhile_its_whole_speed_is_what_counts():
    table, first, other = slow(40_000)
    left = SIZE - table.policy._book.wants[media(0)].received_bytes
    table.feed(TransferStarted(other.transfer, SIZE), after_us=TENTH // 2)
    table.feed(TransferProgressed(other.transfer, left), after_us=TENTH)
    table.feed(TransferEnded(other.transfer))
    assert table.policy._book.cdns[f"cdn:{first}"].falls == 1


# --- who is cheaper ---


def with_prices() -> Table:
    """Seven segments came, of the cheap one; 26 s are buffered when the next is asked for."""
    table = Table(config=BalancerConfig(cdn_transfers_max=0, race_share=0.0))
    table.feed(CdnAdded("dear", price_per_gb=4.0))
    table.feed(CdnAdded("cheap", price_per_gb=1.0))
    for cdn in ("dear", "cheap"):
        estimate(table, cdn).sample(SECOND, 2 * SIZE, 0)
        estimate(table, cdn).succeeded(0)
    table.playing(until=7)
    return table


def test_with_much_buffered_a_cheap_cdn_that_fails_is_asked_again_before_a_dear_one():
    table = with_prices()
    first = asked(table.feed(ResourceRequested(media(8))))
    assert first.cdn == "cheap"
    table.feed(TransferFailed(first.transfer, "status", 503))
    seen = [action for action in table.until(table.now_us + 2 * SECOND) if isinstance(action, FetchFromCdn)]
    assert seen[0].cdn == "cheap"


def test_but_no_longer_than_a_player_waits_for_an_answer():
    table = with_prices()
    began_us = table.now_us
    seen = table.feed(ResourceRequested(media(8)))
    while asked(seen).cdn == "cheap":
        seen = table.feed(TransferFailed(asked(seen).transfer, "status", 503))
        while not [a for a in seen if isinstance(a, FetchFromCdn)]:
            seen += table.until(table.now_us + TENTH)
            assert table.now_us - began_us < 6 * SECOND
    assert asked(seen).cdn == "dear"


def test_a_cheap_cdn_that_is_silent_for_a_moment_is_waited_for_with_much_buffered_and_a_dead_one_is_left():
    table = with_prices()
    first = asked(table.feed(ResourceRequested(media(8))))
    assert first.cdn == "cheap"
    assert table.until(table.now_us + 2 * SECOND) == []
    assert table.until(table.now_us + 2 * SECOND)[0] == CancelTransfer(first.transfer, "stalled")


def test_a_cheap_cdn_that_would_be_late_is_stayed_with_until_there_is_no_leisure_any_more():
    table = with_prices()
    first = asked(table.feed(ResourceRequested(media(8))))
    deadline_us = table.policy.deadline_us(media(8))
    assert deadline_us is not None
    comes(table, first.transfer, 20_000, seconds=60)
    assert 8 * SECOND < deadline_us - table.now_us <= 10 * SECOND
