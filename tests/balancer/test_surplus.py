"""Whether the line has room for a transfer that plays later."""

from __future__ import annotations

from tests.balancer.test_policy import SECOND, SIZE, Table, media, only, with_buffer

from shoal.balancer.events import (
    CancelTransfer,
    FetchFromCdn,
    RequestFromPeer,
    ResourceRequested,
    TransferProgressed,
    TransferStarted,
)


def slow_down(table: Table, transfer: int, *, bytes_per_s: int, seconds: int) -> list:
    """The transfer goes on at that speed."""
    seen = table.feed(TransferStarted(transfer, SIZE))
    for _ in range(seconds * 10):
        seen += table.feed(TransferProgressed(transfer, bytes_per_s // 10), after_us=SECOND // 10)
        seen += table.until(table.now_us)
    return seen


def test_a_prefetch_stops_when_the_line_gets_too_slow_for_it_and_who_waits():
    table = with_buffer()
    ahead = only(table.join("p", range(6, 7)))
    assert isinstance(ahead, RequestFromPeer)
    seen = slow_down(table, 5, bytes_per_s=40_000, seconds=3)
    assert CancelTransfer(ahead.transfer, "yielded") in seen


def test_what_was_stopped_for_lack_of_room_goes_on_from_its_byte_when_there_is_room_again():
    table = with_buffer()
    ahead = only(table.join("p", range(6, 7)))
    table.feed(TransferStarted(ahead.transfer, SIZE))
    table.feed(TransferProgressed(ahead.transfer, 300_000), after_us=SECOND // 2)
    slow_down(table, 5, bytes_per_s=40_000, seconds=3)
    actions = table.deliver(5, media(4))
    again = [a for a in actions if isinstance(a, RequestFromPeer) and a.key == media(6)]
    assert only(again).first_byte == 300_000


def test_on_a_busy_line_who_waits_is_taken_from_a_slow_peer_to_a_cdn_before_it_is_late():
    table = with_buffer()
    slow_down(table, 5, bytes_per_s=400_000, seconds=2)  # 1 MB, and 4 s of it: the line carries little more
    table.deliver(5, media(4))
    ahead = only(table.join("p", range(5, 6)))
    table.feed(ResourceRequested(media(5)))
    seen = slow_down(table, ahead.transfer, bytes_per_s=80_000, seconds=2)
    assert CancelTransfer(ahead.transfer, "overtaken") in seen
    assert [a.first_byte > 0 for a in seen if isinstance(a, FetchFromCdn) and a.key == media(5)] == [True]
