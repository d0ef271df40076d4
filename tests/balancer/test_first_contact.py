"""How much is asked of a peer before anything that it sent was verified."""

from __future__ import annotations

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import (
    AuditAtCdn,
    AuditDue,
    AuditEnded,
    RequestFromPeer,
    ResourceCompleted,
    SegmentsListed,
    TransferEnded,
    TransferProgressed,
    TransferStarted,
)
from shoal.balancer.model import ResourceKey, Segment

from .test_policy import SECOND, SIZE, Table, media


def brought(table: Table, request: RequestFromPeer) -> list:
    """All of it has come; whether it is right is not known yet."""
    seen = table.feed(TransferStarted(request.transfer, SIZE), after_us=20_000)
    seen += table.feed(TransferProgressed(request.transfer, SIZE), after_us=200_000)
    return seen + table.feed(TransferEnded(request.transfer))


def requests(actions: list) -> list[RequestFromPeer]:
    return [action for action in actions if isinstance(action, RequestFromPeer)]


def table_of(*, is_hashed: bool) -> tuple[Table, RequestFromPeer]:
    """A player with a buffer, and a peer that was just asked for its first segment."""
    table = Table("a", segments=0, config=BalancerConfig(cdn_transfers_max=0))
    segments = tuple(
        Segment(
            key=media(n),
            uri=f"{n}.m4s",
            start_us=n * 4 * SECOND,
            duration_us=4 * SECOND,
            is_hashed=is_hashed,
            is_audited=not is_hashed,
        )
        for n in range(20)
    )
    table.feed(SegmentsListed(0, segments, is_live=False))
    table.playing()
    (first,) = requests(table.join("p", range(1, 9)))
    return table, first


def audited(table: Table, key: ResourceKey) -> list:
    (audit,) = [action for action in table.feed(AuditDue(key)) if isinstance(action, AuditAtCdn)]
    seen = table.feed(AuditEnded(key, audit.cdn, 400), after_us=50_000)
    return seen + table.feed(ResourceCompleted(key, SIZE))


def test_where_only_an_audit_can_tell_one_segment_is_asked_of_a_peer_until_it_was_right() -> None:
    table, first = table_of(is_hashed=False)
    assert not requests(brought(table, first))
    (second,) = requests(audited(table, first.key))
    assert second.peer == "p"
    (third,) = requests(brought(table, second))  # from here on the audit of one runs while the next one comes
    assert third.key not in {first.key, second.key}


def test_where_hashes_tell_the_next_segment_is_asked_for_at_once() -> None:
    table, first = table_of(is_hashed=True)
    assert requests(brought(table, first))
