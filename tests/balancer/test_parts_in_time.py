"""Parts of a low-latency stream: each is asked for when it is there, and is to come before it plays."""

from __future__ import annotations

import pytest
from tests.balancer.test_policy import SECOND, Table, only

from shoal.balancer.events import (
    CancelTransfer,
    CdnAdded,
    FetchFromCdn,
    RequestFromPeer,
    ResourceCompleted,
    ResourceRequested,
    SegmentsListed,
    TransferEnded,
    TransferProgressed,
    TransferStarted,
)
from shoal.balancer.model import Kind, ResourceKey, Segment

PART_US = SECOND // 4
PART_BYTES = 8_000
FAST_US, SLOW_US = PART_US // 10, 2 * PART_US


def part(number: int) -> ResourceKey:
    return ResourceKey(0, Kind.PART, number)


class OnAir(Table):
    """A player of parts, which has some in hand, and CDNs of which each needs a time of its own for a part."""

    def __init__(self, *cdns: str, priorities: tuple[int, ...] = (), parts: int = 2_000) -> None:
        super().__init__(segments=0)
        for cdn, priority in zip(cdns, priorities or (0,) * len(cdns), strict=True):
            self.feed(CdnAdded(cdn, weight=2.0 - 0.1 * cdns.index(cdn), priority=priority))
        self.needs_us = dict.fromkeys(cdns, FAST_US)
        self.used: list[str] = []
        listed = tuple(
            Segment(key=part(n), uri=f"{n}.m4s", start_us=n * PART_US, duration_us=PART_US, is_hashed=True)
            for n in range(parts)
        )
        self.feed(SegmentsListed(0, listed, is_live=True))

    def play(self, numbers: range) -> None:
        """Ask for each when it is there, which is four parts before it plays; it comes whole, from whoever is asked."""
        for number in numbers:
            self.until(max(self.now_us, (number - 3) * PART_US))
            asked = only(self.feed(ResourceRequested(part(number))))
            assert isinstance(asked, FetchFromCdn)
            assert asked.key == part(number)
            self.used.append(asked.cdn)
            self.bring(asked.transfer, part(number), self.needs_us[asked.cdn])

    def bring(self, transfer: int, key: ResourceKey, needs_us: int) -> None:
        assert self.until(self.now_us + needs_us // 10) == []
        self.feed(TransferStarted(transfer, PART_BYTES))
        for _ in range(9):
            assert self.until(self.now_us + needs_us // 10) == []
            self.feed(TransferProgressed(transfer, PART_BYTES // 9 + 1))
        self.feed(TransferEnded(transfer))
        self.feed(ResourceCompleted(key, PART_BYTES))

    def changes(self) -> int:
        return sum(one != other for one, other in zip(self.used, self.used[1:], strict=False))


def test_a_cdn_that_brings_parts_more_slowly_than_they_play_is_left_after_the_first_that_it_brought():
    table = OnAir("slow", "other")
    table.needs_us["slow"] = SLOW_US
    table.play(range(40))
    assert table.used == ["slow"] + 39 * ["other"]


def test_one_that_becomes_slow_is_left_after_the_first_part_that_was():
    table = OnAir("slow", "other")
    table.play(range(20))
    table.needs_us["slow"] = SLOW_US
    table.play(range(20, 40))
    assert table.used == 21 * ["slow"] + 19 * ["other"]


def test_one_of_the_second_priority_is_stayed_with_while_the_first_is_slow():
    table = OnAir("slow", "second", priorities=(0, 1))
    table.needs_us["slow"] = SLOW_US
    table.play(range(40))
    assert table.used == ["slow"] + 39 * ["second"]


def test_where_all_are_slow_one_is_stayed_with():
    """Then it is the line: another is tried once in a while, and less often each time."""
    table = OnAir("one", "two", "three")
    table.needs_us = dict.fromkeys(table.needs_us, SLOW_US)
    table.play(range(120))  # a minute
    assert table.changes() <= 8


def test_one_that_is_fast_enough_is_not_left_for_one_that_is_faster():
    table = OnAir("one", "two")
    table.needs_us = {"one": PART_US * 8 // 10, "two": FAST_US}
    table.play(range(40))
    assert set(table.used) == {"one"}


def test_who_is_well_again_is_not_tried_while_another_keeps_up():
    table = OnAir("one", "two")
    table.needs_us["one"] = SLOW_US
    table.play(range(10))
    table.needs_us["one"] = FAST_US
    table.play(range(10, 200))
    assert set(table.used[1:]) == {"two"}


def test_silence_before_a_part_is_a_third_of_what_is_left_until_it_plays():
    table = OnAir("one", "two")
    table.play(range(8))
    assert only(table.feed(ResourceRequested(part(8)))).cdn == "one"
    assert table.until(table.now_us + 299_000) == []
    left, other = table.until(table.now_us + 100_000)
    assert left == CancelTransfer(9, "stalled")
    assert isinstance(other, FetchFromCdn)
    assert other.cdn == "two"


@pytest.mark.parametrize("came", [0, 3_000])
def test_peers_are_not_asked_for_parts_whatever_numbers_they_announce(came: int):
    table = OnAir("one", "two")
    table.play(range(8))
    table.join("peer", range(2_000))
    seen = table.feed(ResourceRequested(part(8)))
    seen += table.feed(TransferStarted(9, PART_BYTES))
    if came:
        seen += table.feed(TransferProgressed(9, came))
    seen += table.until(table.now_us + 20 * SECOND)
    assert not [action for action in seen if isinstance(action, RequestFromPeer)]


def test_a_part_goes_on_at_another_cdn_whatever_its_etag_if_there_is_a_hash():
    table = OnAir("one", "two")
    table.play(range(8))
    table.feed(ResourceRequested(part(8)))
    table.feed(TransferStarted(9, PART_BYTES, etag='"a"'))
    table.feed(TransferProgressed(9, 4_000))
    _, other, *_ = table.until(table.now_us + 2 * SECOND)
    assert isinstance(other, FetchFromCdn)
    assert (other.cdn, other.first_byte, other.etag) == ("two", 4_000, None)
