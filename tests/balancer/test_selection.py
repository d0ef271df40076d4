"""Which source goes on for another."""

from __future__ import annotations

from tests.balancer.test_cdn_choice import CONFIG, SECOND, priced
from tests.balancer.test_policy import SIZE, Table, media, only

from shoal.balancer.cdn_choice import best_cdn
from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    CdnAdded,
    FetchFromCdn,
    GiveUp,
    PeerAnnounced,
    RequestFromPeer,
    ResourceRequested,
    SourceBlamed,
    TransferFailed,
    TransferProgressed,
    TransferStarted,
)


def test_where_none_is_sure_the_cheapest_of_those_about_as_good_is_asked():
    dear, cheap = priced("dear", 4.0), priced("cheap", 1.0, place=1)
    for one in (dear, cheap):
        one.estimate.fell_to(400_000)  # 1 MB in 2.5 s, and it plays in 3
    found = best_cdn([dear, cheap], SIZE, may_explore=False, now_us=0, seed=0, config=CONFIG, slack_us=3 * SECOND)
    assert found is not None
    assert found[0].name == "cheap"


def test_a_late_transfer_goes_to_the_cheapest_that_would_be_soon_enough():
    table = Table(config=BalancerConfig())
    for name, price in (("slow", 0.5), ("dear", 4.0), ("cheap", 1.0)):
        table.feed(CdnAdded(name, price_per_gb=price))
    table.list_segments(range(20))
    assert only(table.feed(ResourceRequested(media(0)))).cdn == "slow"
    seen = table.feed(TransferStarted(1, SIZE))
    for _ in range(20):
        seen += table.feed(TransferProgressed(1, 5_000), after_us=SECOND // 10)
        seen += table.until(table.now_us)
    assert [action.cdn for action in seen if isinstance(action, FetchFromCdn)] == ["cheap"]


# --- all CDNs are at fault, and a peer is not


def test_after_each_cdn_fell_silent_a_peer_that_was_never_measured_comes_before_the_first_again():
    table = Table("a", "b")
    table.join("p")
    seen = table.feed(ResourceRequested(media(0)))
    for transfer in (1, 2):
        table.feed(TransferStarted(transfer, SIZE), after_us=50_000)
        table.feed(TransferProgressed(transfer, 100_000))
        seen += table.until(table.now_us + SECOND)
    asked = [action for action in seen if isinstance(action, FetchFromCdn | RequestFromPeer)]
    assert [getattr(action, "cdn", "p") for action in asked[:2]] in (["a", "b"], ["b", "a"])
    assert isinstance(asked[2], RequestFromPeer)
    assert asked[2].first_byte == 200_000


def test_who_sent_wrong_bytes_is_not_asked_again_while_a_peer_may_get_it():
    table = Table("a", "b")
    table.join("p", range(0))
    table.feed(ResourceRequested(media(0)))
    for transfer in (1, 2):
        table.feed(TransferStarted(transfer, SIZE), after_us=50_000)
        table.feed(TransferProgressed(transfer, SIZE), after_us=50_000)
        source = "cdn:a" if transfer == 1 else "cdn:b"
        table.feed(SourceBlamed(media(0), source, 0))
    assert not [action for action in table.until(table.now_us + 3 * SECOND) if isinstance(action, FetchFromCdn)]
    action = only(table.feed(PeerAnnounced("p", frozenset({0}), frozenset())))
    assert isinstance(action, RequestFromPeer)


def test_what_no_cdn_has_is_not_given_up_at_once_where_a_peer_may_get_it():
    def lacking() -> Table:
        table = Table("a", "b")
        table.join("p", range(0))
        table.feed(ResourceRequested(media(0)))
        for transfer in (1, 2):
            seen = table.feed(TransferFailed(transfer, "status", 404))
        assert seen == []
        return table

    found = lacking()
    assert isinstance(only(found.feed(PeerAnnounced("p", frozenset({0}), frozenset()))), RequestFromPeer)
    in_vain = lacking()
    assert in_vain.until(in_vain.now_us + 4 * SECOND) == []
    assert isinstance(only(in_vain.until(in_vain.now_us + 2 * SECOND)), GiveUp)
