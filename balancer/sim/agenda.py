"""What is to happen when, in virtual time: the next moment first, equals in the order they were put in.

Most moments are taken out once and never moved, and most lie well ahead.  So they wait in
slots of four milliseconds, unsorted; a slot is sorted when it begins.  What is put into the
slot that has begun, mostly for at once, goes to a heap beside it.  One heap of all would
cost each moment a way through memory that grows with the number of viewers.

The slots of the next seconds lie in a ring; those beyond in a dictionary, until their turn in the ring has come.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

__all__ = ["Agenda", "Entry"]

Entry = tuple[int, int, Callable[..., object], tuple[Any, ...]]  # moment, order of putting in, what is called with what

_SLOT_BITS = 12  # 4 ms: 80 moments of 1,000 viewers, or 800 of 10,000, which the nearest caches hold
_RING = 1024  # slots, 4 s: what lies beyond are players' long waits, and who comes later


class Agenda:
    __slots__ = ("_begun", "_count", "_far", "_in_ring", "_late", "_ring", "_slot", "_slots")

    def __init__(self) -> None:
        self._count = 0
        self._slot = -1  # the one that has begun
        self._begun: list[Entry] = []  # what is left of it, the next last
        self._late: list[Entry] = []  # a heap: what was put into it since
        self._ring: list[list[Entry]] = [[] for _ in range(_RING)]  # by slot, in order of putting in
        self._in_ring = 0  # slots of it that are not empty
        self._far: dict[int, list[Entry]] = {}  # the same beyond
        self._slots: list[int] = []  # a heap: those of them that are not empty

    def put(self, time_us: int, callback: Callable[..., object], arguments: tuple[Any, ...] = ()) -> None:
        """Call back then; not before a moment that was taken out already."""
        self._count += 1
        entry = (time_us, self._count, callback, arguments)
        slot = time_us >> _SLOT_BITS
        if slot <= self._slot:
            heappush(self._late, entry)
        elif slot - self._slot < _RING:
            entries = self._ring[slot & (_RING - 1)]
            self._in_ring += not entries
            entries.append(entry)
        elif slot in self._far:
            self._far[slot].append(entry)
        else:
            self._far[slot] = [entry]
            heappush(self._slots, slot)

    def take(self, before_us: int) -> Entry | None:
        """The next of all that come before that moment, taken out; None if there is none.  Cost: a step or two."""
        while not self._begun and not self._late:
            if not self._begin(before_us):
                return None
        if self._late and (not self._begun or self._late[0] < self._begun[len(self._begun) - 1]):
            return heappop(self._late) if self._late[0][0] < before_us else None
        return self._begun.pop() if self._begun[len(self._begun) - 1][0] < before_us else None

    def _begin(self, before_us: int) -> bool:
        """Begin the next slot that is not empty, and that begins before that moment; whether there is one."""
        slot = self._next()
        if slot < 0 or slot << _SLOT_BITS >= before_us:
            return False
        place = slot & (_RING - 1)
        begun = self._ring[place]
        if begun:
            self._ring[place] = []
            self._in_ring -= 1
        if self._slots and self._slots[0] == slot:  # what was put there while it was beyond the ring comes first
            begun = self._far.pop(heappop(self._slots)) + begun
        begun.sort(reverse=True)
        self._slot, self._begun = slot, begun
        return True

    def _next(self) -> int:
        """The next slot that is not empty; -1 if there is none."""
        far = self._slots[0] if self._slots else -1
        if not self._in_ring:
            return far
        slot = self._slot + 1
        while slot != far:
            entries = self._ring[slot & (_RING - 1)]
            if entries:
                break
            slot += 1
        return slot
