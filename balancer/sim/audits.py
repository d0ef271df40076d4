"""What one viewer audits, where a scenario has no hashes: real ranges at places drawn from the scenario's seed.

It does for the policy what the actors and AuditedAssembly do.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..audit import HEAD_BYTES, budget_bytes, ranges_of
from ..config import BalancerConfig
from ..events import (
    AuditAtCdn,
    AuditDue,
    AuditEnded,
    AuditFailed,
    BytesDiscarded,
    DropUnaudited,
    SourceBlamed,
)
from ..mixing import mix, text_number
from ..model import ByteRange, ResourceKey, is_peer
from .transfer import Transfer

if TYPE_CHECKING:
    from .viewer import Viewer

__all__ = ["Audits"]

_CONFIG = BalancerConfig()


class Audits:
    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._passed: dict[ResourceKey, None] = {}
        self._drawn = 0

    def is_due(self, key: ResourceKey) -> bool:
        """All bytes came; whether an audit has to tell first, which is then asked for."""
        if key in self._passed or not self._of_peers(key):
            return False
        self._viewer.feed(AuditDue(key))
        return True

    def is_wrong(self, part: Transfer) -> bool:
        """Whether what is held of it is not right."""
        first, end = part.wrong
        return max(first, part.first_byte) < min(end, part.first_byte + part.kept_bytes)

    def carry_out(self, action: AuditAtCdn | DropUnaudited) -> None:
        world = self._viewer.world
        if isinstance(action, DropUnaudited):
            world.at(world.now_us, self._drop, (action.key,))
        else:
            rtt_us = self._viewer.spec.rtt_us + world.cdns[action.cdn].spec.rtt_us
            world.at(world.now_us + rtt_us, self._answered, (action,))

    def _of_peers(self, key: ResourceKey) -> list[Transfer]:
        return [part for part in self._viewer.parts.get(key, []) if is_peer(part.label) and part.kept_bytes]

    def _answered(self, action: AuditAtCdn) -> None:
        viewer, key = self._viewer, action.key
        parts = self._of_peers(key)
        if not viewer.is_here or not parts:
            return
        cdn = viewer.world.cdns[action.cdn]
        pieces = [ByteRange(part.first_byte, part.kept_bytes) for part in parts]
        byte_count = sum(piece.length for piece in pieces)
        budget = budget_bytes(byte_count, _CONFIG.audit_share)
        ranges = ranges_of(pieces, budget, self._numbers(key, len(pieces)), _CONFIG.audit_ranges)
        if cdn.fault(viewer.world.now_us) is not None or not ranges:
            viewer.feed(AuditFailed(key, action.cdn, "status" if ranges else "costly", 0))
            return
        came = sum(one.length for one in ranges)
        viewer.world.sent_by_cdn(cdn, came)
        viewer.outcome.audit_bytes += came + HEAD_BYTES * len(ranges)
        viewer.outcome.audited_bytes += byte_count
        viewer.outcome.audited_segments += 1
        viewer.feed(AuditEnded(key, action.cdn, came))
        wrong = list(dict.fromkeys(part.label for part in parts if _is_seen(part, ranges)))
        if not wrong:
            viewer.outcome.missed += any(self.is_wrong(part) for part in parts)
            self._passed[key] = None
            viewer.completed(key)
            return
        viewer.outcome.caught += 1
        self._keep(key, [partial(SourceBlamed, key, label) for label in wrong])

    def _drop(self, key: ResourceKey) -> None:
        if self._viewer.is_here and self._of_peers(key):
            self._keep(key, [partial(BytesDiscarded, key, ())])

    def _keep(self, key: ResourceKey, events: list[partial[SourceBlamed] | partial[BytesDiscarded]]) -> None:
        keep = min(part.first_byte for part in self._of_peers(key))
        self._viewer.discard(key, keep)
        for event in events:
            self._viewer.feed(event(keep))

    def _numbers(self, key: ResourceKey, pieces: int) -> list[int]:
        self._drawn += 1
        seed, name = self._viewer.world.scenario.seed, text_number(self._viewer.name_in(key.rendition))
        count = _CONFIG.audit_ranges + pieces - 1
        return [mix(seed, name, key.rendition, key.number, self._drawn, number) for number in range(count)]


def _is_seen(part: Transfer, ranges: tuple[ByteRange, ...]) -> bool:
    """Whether a wrong byte of this part lies in one of the ranges."""
    first = max(part.wrong[0], part.first_byte)
    end = min(part.wrong[1], part.first_byte + part.kept_bytes)
    return any(max(first, one.offset) < min(end, one.offset + one.length) for one in ranges)
