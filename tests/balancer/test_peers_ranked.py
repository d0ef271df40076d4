"""Peers among the pathways of a steering server: before which CDNs they are asked, and before which not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    CdnAdded,
    FetchFromCdn,
    PeersRanked,
    RequestFromPeer,
    ResourceRequested,
    TransferFailed,
    TransferStarted,
)
from shoal.balancer.model import ResourceKey

from .test_policy import SECOND, SIZE, Table, media, only


class Watched(Table):
    """Looks at each action when it comes: whether a peer is asked while a CDN of `before` can be."""

    before: frozenset[str] = frozenset()

    def feed(self, event: object, *, after_us: int = 0) -> list:
        actions = super().feed(event, after_us=after_us)
        for action in actions:
            if isinstance(action, RequestFromPeer) and action.why != "race":
                book = self.policy._book
                want = book.wants[action.key]
                ready = {
                    label
                    for label, cdn in book.cdns.items()
                    if label not in want.marks and cdn.ready_us(want, self.now_us) == self.now_us
                }
                assert not self.before & ready, (action, self.before)
        return actions


def steered(order: list[str]) -> Watched:
    """CDNs and `peers` in this order; a peer holds everything.  What nobody waits for comes from it, or not at all."""
    table = Watched(config=BalancerConfig(cdn_transfers_max=0, peer_transfers_max=1))
    if "peers" in order:
        table.before = frozenset(f"cdn:{name}" for name in order[: order.index("peers")])
    for place, name in enumerate(order):
        table.feed(PeersRanked(place) if name == "peers" else CdnAdded(name, priority=place))
    table.join("p")
    return table


def sources(actions: list) -> list[str]:
    asked = [action for action in actions if isinstance(action, FetchFromCdn | RequestFromPeer)]
    return [action.cdn if isinstance(action, FetchFromCdn) else action.peer for action in asked]


def played(table: Table, count: int) -> list[str]:
    """Who was asked for the next `count` segments, of which each comes half a second after it was asked for."""
    asked: list[str] = []
    running: dict[ResourceKey, int] = {}

    def note(actions: list) -> None:
        for action in actions:
            if isinstance(action, FetchFromCdn | RequestFromPeer):
                running[action.key] = action.transfer
                asked.extend(sources([action]))

    for number in range(count):
        note(table.feed(ResourceRequested(media(number))))
        while running:
            key, transfer = running.popitem()
            note(table.deliver(transfer, key))
        note(table.until(table.now_us + 3 * SECOND))
    return asked


def test_behind_a_cdn_that_serves_no_peer_is_asked() -> None:
    assert "p" not in played(steered(["a", "peers", "b"]), 8)


@pytest.mark.parametrize("order", [["peers", "a"], ["a"]], ids=str)
def test_before_all_cdns_and_unranked_they_bring_what_there_is_time_for(order: list[str]) -> None:
    asked = played(steered(order), 8)
    assert asked[0] == "a"  # nothing is measured yet, and somebody waits
    assert asked.count("p") >= 6


def test_behind_a_cdn_that_fails_they_are_asked_and_before_the_next() -> None:
    table = steered(["a", "peers", "b"])
    table.playing(until=3)
    transfer = only(table.feed(ResourceRequested(media(4)))).transfer
    seen = table.feed(TransferFailed(transfer, "status", 404))
    assert "p" in sources(seen)


def test_for_one_that_its_cdn_does_not_have_a_peer_is_asked_and_for_the_next_the_cdn() -> None:
    table = steered(["a", "peers"])
    table.feed(ResourceRequested(media(0)))
    assert sources(table.feed(TransferFailed(1, "status", 404)))[:1] == ["p"]
    assert sources(table.feed(ResourceRequested(media(9))))[:1] == ["a"]


def test_from_a_cdn_that_is_silent_a_peer_takes_over() -> None:
    table = steered(["a", "peers"])
    table.playing()
    table.feed(ResourceRequested(media(1)))
    assert "p" in sources(table.until(table.now_us + 4 * SECOND))


def test_ranked_anew_they_are_asked_again() -> None:
    table = steered(["a", "peers"])
    assert "p" not in played(table, 3)
    table.before = frozenset()
    table.feed(PeersRanked(0))
    assert "p" in played(table, 8)


@settings(max_examples=60)
@given(
    order=st.permutations(["a", "b", "c", "peers"]),
    fails=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["closed", "status", "connect"])), max_size=30),
    waits=st.lists(st.integers(0, 4 * SECOND), min_size=30, max_size=30),
)
def test_a_peer_is_asked_only_while_no_cdn_before_them_can_be(order, fails, waits) -> None:
    """For each source that fails, in turn; all others bring what they are asked for."""
    table = steered(order)
    left, asked = list(fails), 0
    running: dict[ResourceKey, FetchFromCdn | RequestFromPeer] = {}

    def note(actions: list) -> None:
        for action in actions:
            if isinstance(action, FetchFromCdn | RequestFromPeer):
                running[action.key] = action

    for number, wait_us in enumerate(waits[:12]):
        note(table.feed(ResourceRequested(media(number))))
        while running and asked < 200:
            asked += 1
            _, action = running.popitem()
            fault = next((each for each in left if isinstance(action, FetchFromCdn) and each[0] == action.cdn), None)
            if fault is None:
                note(table.deliver(action.transfer, action.key))
            else:
                left.remove(fault)
                note(table.feed(TransferStarted(action.transfer, SIZE), after_us=20_000))
                note(table.feed(TransferFailed(action.transfer, fault[1], 503 if fault[1] == "status" else None)))
        note(table.until(table.now_us + wait_us))
