"""One segment's missing bytes, asked of several peers at once and handed on in order.

    next_range(peer)      what to ask of a peer that has nothing to do here; None: nothing is left for it
    started(total)        how long the segment is, if that was not known
    add(peer, data)       bytes of its range  ->  what can be handed on now, in order, each with who sent it
    ended(peer)           its range is whole; it has nothing to do
    failed(peer)          it sends no more: the rest of its range goes to others
    silent(now, limit)    peers that owe bytes and have said nothing for so long

Ranges begin and end with the blocks that hashes speak of, so a wrong block has one maker.  They are short against
the segment, since who is slower must not be left with a long one at the end, and long against a round trip, since a
peer is asked for one range after the other.  The front is asked for first: what a player waits for.

Promises: every byte is handed on once, in order; no byte is asked of two peers at a time.
Memory: what came ahead of the front, so less than the segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .integrity import BLOCK_BYTES

__all__ = ["PEERS_MAX", "Stripes"]

PEERS_MAX = 4  # with each the ranges get shorter, and what is there ahead of a hole gets more
_RANGES_PER_PEER = 2
_RANGE_BYTES_MAX = 512 * 1024  # half a second of a peer that sends 8 Mbit/s


class _Part(msgspec.Struct):
    start: int
    end: int
    is_asked: bool = False  # of somebody who has not ended or failed
    got: int = 0  # bytes that came, handed on or held
    sources: list[tuple[str, bytes]] = []  # held: of whom, in order
    heard_us: int = 0

    @property
    def is_whole(self) -> bool:
        return self.got == self.end - self.start


class Stripes:
    def __init__(self, peers: Sequence[str], first_byte: int, total_bytes: int | None) -> None:
        """`total_bytes` is None where nobody has said it: the first peer is asked for a little, and says it."""
        self.peers = list(peers)
        self._front = first_byte  # all before it was handed on
        self._end = first_byte  # all before it was made a part of
        self._total = total_bytes
        self._parts: list[_Part] = []  # in order, from the front on
        self._asked: dict[str, _Part] = {}  # by peer, until it says that it was all
        self._range_bytes = self._size() if total_bytes is not None else BLOCK_BYTES

    @property
    def is_whole(self) -> bool:
        """Everything was handed on."""
        return self._total is not None and self._front >= self._total

    def next_range(self, peer: str, now_us: int) -> tuple[int, int] | None:
        """First byte, and the one after the last, of what `peer` is to be asked for now."""
        assert peer not in self._asked, f"{peer} is sending already"
        part = next((part for part in self._parts if not part.is_asked and not part.is_whole), None)
        if part is None:
            part = self._cut()
            if part is None:
                return None
        part.is_asked, part.heard_us = True, now_us
        self._asked[peer] = part
        return part.start + part.got, part.end

    def started(self, total_bytes: int) -> None:
        if self._total is None:
            self._total = total_bytes
            self._range_bytes = self._size()
            self._end = min(self._end, total_bytes)
            for part in self._parts:
                part.end = min(part.end, total_bytes)

    def add(self, peer: str, data: bytes, now_us: int) -> list[tuple[str, bytes]]:
        part = self._asked.get(peer)
        if part is None:
            return []
        part.heard_us = now_us
        part.got += len(data)
        assert part.got <= part.end - part.start, f"{part.got} bytes of a range of {part.end - part.start}"
        part.sources.append((peer, data))
        return self._hand_on()

    def ended(self, peer: str) -> None:
        part = self._asked.pop(peer, None)
        if part is not None:
            part.is_asked = False

    def failed(self, peer: str) -> None:
        self.ended(peer)
        if peer in self.peers:
            self.peers.remove(peer)

    def idle(self) -> list[str]:
        """Peers that send nothing now."""
        return [peer for peer in self.peers if peer not in self._asked]

    def silent(self, now_us: int, limit_us: int) -> list[str]:
        return [peer for peer, part in self._asked.items() if not part.is_whole and now_us - part.heard_us >= limit_us]

    def _hand_on(self) -> list[tuple[str, bytes]]:
        ready: list[tuple[str, bytes]] = []
        while self._parts:
            part = self._parts[0]
            ready += part.sources
            self._front += sum(len(data) for _, data in part.sources)
            part.sources = []
            if not part.is_whole:
                break
            del self._parts[0]
        return ready

    def _cut(self) -> _Part | None:
        """The next range that nobody was asked for yet."""
        if self._total is None:
            if self._parts:
                return None  # who was asked first is to say how long it is
        elif self._end >= self._total:
            return None
        end = (self._end // BLOCK_BYTES) * BLOCK_BYTES + self._range_bytes
        part = _Part(self._end, end if self._total is None else min(end, self._total))
        self._end = part.end
        self._parts.append(part)
        return part

    def _size(self) -> int:
        assert self._total is not None
        missing = max(0, self._total - self._front)
        even = missing // (_RANGES_PER_PEER * max(1, len(self.peers)))
        blocks = max(1, min(even, _RANGE_BYTES_MAX) // BLOCK_BYTES)
        return blocks * BLOCK_BYTES
