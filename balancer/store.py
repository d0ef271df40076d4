"""The segments held: for the player, and for peers.

Bounded by bytes.  What goes first, of what is not being read (pinned):

    1. media behind the playhead of its rendition: what most peers hold, since the swarm
       misses it least; of these the farthest
    2. all else, the least recently used first

Bookkeeping only; whoever calls tells the peers and the policy what went.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .model import Kind, ResourceKey

__all__ = ["Refusal", "Store"]


class Refusal(msgspec.Struct, frozen=True):
    """Why a resource was not stored; nothing was evicted for it."""

    reason: str  # too_large: than the whole store; pinned: what would have to go is being read
    byte_count: int
    bytes_max: int


class _Entry(msgspec.Struct):
    data: bytes
    used: int
    pins: int = 0


class Store:
    def __init__(self, bytes_max: int = 256 * 1024 * 1024) -> None:
        self.bytes_max = bytes_max
        self.byte_count = 0
        self.peak_bytes = 0
        self.evicted_count = 0
        self.refused_count = 0
        self._entries: dict[ResourceKey, _Entry] = {}
        self._playheads: dict[int, int] = {}
        self._copies: Mapping[ResourceKey, int] = {}
        self._clock = 0

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> tuple[ResourceKey, ...]:
        return tuple(self._entries)

    def put(self, key: ResourceKey, data: bytes) -> tuple[ResourceKey, ...] | Refusal:
        """Keep it, and answer which keys were let go for it.  Replaces an older version, pins included.

        Cost: a sort of the entries when something must go.
        """
        old = self._entries.get(key)
        spare = self.bytes_max - self.byte_count + (len(old.data) if old else 0)
        if len(data) > self.bytes_max:
            return self._refuse("too_large", data)
        going: list[ResourceKey] = []
        if len(data) > spare:
            for candidate in sorted((k for k in self._entries if k != key), key=self._order):
                entry = self._entries[candidate]
                if entry.pins:
                    continue
                going.append(candidate)
                spare += len(entry.data)
                if len(data) <= spare:
                    break
            else:
                return self._refuse("pinned", data)
        for candidate in going:
            self.discard(candidate)
        self.evicted_count += len(going)
        self._clock += 1
        self.byte_count += len(data) - (len(old.data) if old else 0)
        self.peak_bytes = max(self.peak_bytes, self.byte_count)
        self._entries[key] = _Entry(data, self._clock, old.pins if old else 0)
        return tuple(going)

    def get(self, key: ResourceKey) -> bytes | None:
        """Its bytes; this counts as use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._clock += 1
        entry.used = self._clock
        return entry.data

    def peek(self, key: ResourceKey) -> bytes | None:
        """Its bytes, for no use that should keep it here."""
        entry = self._entries.get(key)
        return None if entry is None else entry.data

    def pin(self, key: ResourceKey) -> bool:
        """Keep it until as many `unpin`; False if it is not here."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        entry.pins += 1
        return True

    def unpin(self, key: ResourceKey) -> None:
        entry = self._entries.get(key)
        if entry is None or not entry.pins:
            raise ValueError(f"{key} is not pinned; each unpin needs a pin that answered True")
        entry.pins -= 1

    def discard(self, key: ResourceKey) -> bool:
        """Let it go now, pinned or not; False if it was not here."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self.byte_count -= len(entry.data)
        return True

    def moved_playhead(self, rendition: int, number: int) -> None:
        """The player asked for this media number."""
        self._playheads[rendition] = number

    def held_elsewhere(self, copies: Mapping[ResourceKey, int]) -> None:
        """How many peers hold what; nobody holds what is left out.  Replaces what was said before."""
        self._copies = copies

    def worth(self, key: ResourceKey) -> int:
        """For a store that others share: 2 to be played, or no media; 1 passed, and no peer holds it; 0 passed."""
        if not self._is_passed(key):
            return 2
        return 0 if self._copies.get(key, 0) else 1

    def _is_passed(self, key: ResourceKey) -> bool:
        playhead = self._playheads.get(key.rendition)
        return key.kind is Kind.MEDIA and playhead is not None and key.number < playhead

    def _order(self, key: ResourceKey) -> tuple[int, int, int]:
        if self._is_passed(key):
            return (0, -self._copies.get(key, 0), key.number - self._playheads[key.rendition])
        return (1, self._entries[key].used, 0)

    def _refuse(self, reason: str, data: bytes) -> Refusal:
        self.refused_count += 1
        return Refusal(reason, len(data), self.bytes_max)
