"""Segments that are sent while they are made (low-latency DASH): the pace is the encoder's, not the source's."""

from __future__ import annotations

from tests.balancer.test_policy import SECOND, SIZE, Table, media, only

from shoal.balancer.events import (
    CancelTransfer,
    FetchFromCdn,
    ResourceCompleted,
    ResourceRequested,
    SegmentsListed,
    TransferEnded,
    TransferProgressed,
    TransferStarted,
)
from shoal.balancer.model import Segment

LENGTH_US = 4 * SECOND
PIECE_US = SECOND // 2
PIECES = LENGTH_US // PIECE_US


class AtTheEdge(Table):
    """Segments 0 to 7 are there, and number 8 has its first piece."""

    def __init__(self, *cdns: str) -> None:
        super().__init__(*cdns, segments=0)
        listed = [
            Segment(key=media(n), uri=f"{n}.m4s", start_us=n * LENGTH_US, duration_us=LENGTH_US, is_hashed=True)
            for n in range(8)
        ]
        grows = Segment(
            key=media(8),
            uri="8.m4s",
            start_us=8 * LENGTH_US,
            duration_us=LENGTH_US,
            grows_until_us=LENGTH_US - PIECE_US,
            grows_by_us=PIECE_US,
        )
        self.feed(SegmentsListed(0, (*listed, grows), is_live=True))

    def ask(self) -> FetchFromCdn:
        asked = only(self.feed(ResourceRequested(media(8))))
        assert isinstance(asked, FetchFromCdn)
        self.feed(TransferStarted(asked.transfer, None), after_us=20_000)
        return asked

    def grow(self, transfer: int, pieces: int, byte_count: int = SIZE // PIECES) -> list:
        seen = []
        for _ in range(pieces):
            seen += self.feed(TransferProgressed(transfer, byte_count))
            seen += self.until(self.now_us + PIECE_US)
        return seen


def test_it_is_not_slow_and_says_nothing_of_who_sends_it():
    table = AtTheEdge("a", "b")
    asked = table.ask()
    assert table.grow(asked.transfer, PIECES) == []
    table.feed(TransferEnded(asked.transfer))
    table.feed(ResourceCompleted(media(8), SIZE))
    assert table.policy.cdn_bytes_per_s("a") is None


def test_silence_is_a_piece_longer_than_else_and_then_another_cdn_is_asked():
    table = AtTheEdge("a", "b")
    asked = table.ask()
    assert table.grow(asked.transfer, 2) == []
    assert table.until(table.now_us + 680_000) == []  # a piece has passed already
    left, other = table.until(table.now_us + 100_000)
    assert left == CancelTransfer(asked.transfer, "stalled")
    assert isinstance(other, FetchFromCdn)
    assert (other.cdn, other.first_byte) == ("b", 2 * SIZE // PIECES)


def test_nobody_is_taken_to_hold_what_is_being_made():
    table = AtTheEdge("a")
    table.join("peer", range(20))
    assert isinstance(only(table.feed(ResourceRequested(media(8)))), FetchFromCdn)


def test_once_it_is_whole_its_source_is_measured_as_any_other():
    table = AtTheEdge("a")
    asked = table.ask()
    table.grow(asked.transfer, PIECES)
    table.feed(TransferProgressed(asked.transfer, 250_000))
    table.until(table.now_us + PIECE_US)
    table.feed(TransferProgressed(asked.transfer, 250_000))
    table.feed(TransferEnded(asked.transfer))
    rate = table.policy.cdn_bytes_per_s("a")
    assert rate is not None
    assert 250_000 <= rate <= 1_000_000
