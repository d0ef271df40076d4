"""What is to happen when, in virtual time: the next moment first, equals in the order they were put in.

    put(moment, callback, arguments)
    take(before)    whether there is one before that moment; then `time_us`, `callback` and `arguments` are those of it

Most moments are taken out once and never moved, and most lie well ahead.  So they wait in
slots of four milliseconds, unsorted; a slot is sorted when it begins.  What is put into the
slot that has begun, mostly for at once, goes to a heap beside it.  One heap of all would
cost each moment a way through memory that grows with the number of viewers.  For the same
reason a slot is two lists, one of them of plain numbers, and there is no object for a moment.

The slots of the next seconds lie in a ring; those beyond in a dictionary, until their turn in the ring has come.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

__all__ = ["Agenda"]

_Entry = tuple[
    int, int, Callable[..., object], tuple[Any, ...]
]  # moment, order of putting in, what is called with what

_SLOT_BITS = 12  # 4 ms: 80 moments of 1,000 viewers, or 800 of 10,000, which the nearest caches hold
_SLOT_US = 1 << _SLOT_BITS
_RING = 1024  # slots, 4 s: what lies beyond are players' long waits, and who comes later
_PLACE_BITS = 40  # of a place among a slot's calls: more than memory holds
_PLACE_MASK = 0xFF_FFFF_FFFF


class _Slot:
    """Moments of four milliseconds: what orders them, and what is called, in the order they were put in."""

    __slots__ = ("calls", "keys")

    def __init__(self) -> None:
        self.keys: list[int] = []  # the moment within the slot, and where its call is
        self.calls: list[Any] = []  # callback, arguments, callback, ...

    def put(self, within_us: int, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        place = len(self.calls)  # in 64 bits: what Cython makes of a length has 32 in a browser
        self.keys.append(within_us << _PLACE_BITS | place)
        self.calls.append(callback)
        self.calls.append(arguments)

    def add(self, other: _Slot) -> None:
        """What was put into another, for the same time, comes behind."""
        count = len(self.calls)
        for key in other.keys:
            self.keys.append(key + count)
        self.calls.extend(other.calls)


class Agenda:
    __slots__ = (
        "_begun",
        "_count",
        "_far",
        "_in_ring",
        "_late",
        "_ring",
        "_slot",
        "_slots",
        "arguments",
        "callback",
        "time_us",
    )

    def __init__(self) -> None:
        self.time_us = 0
        self.callback: Callable[..., object] = _nothing
        self.arguments: tuple[Any, ...] = ()
        self._count = 0
        self._slot = -1  # the one that has begun
        self._begun = _Slot()  # what is left of it, the next key last
        self._late: list[_Entry] = []  # a heap: what was put into it since
        self._ring = [_Slot() for _ in range(_RING)]
        self._in_ring = 0  # slots of it that are not empty
        self._far: dict[int, _Slot] = {}  # the same beyond
        self._slots: list[int] = []  # a heap: those of them that are not empty

    def put(self, time_us: int, callback: Callable[..., object], arguments: tuple[Any, ...] = ()) -> None:
        """Call back then; not before a moment that was taken out already."""
        number = time_us >> _SLOT_BITS
        if number <= self._slot:
            self._count += 1
            heappush(self._late, (time_us, self._count, callback, arguments))
            return
        if number - self._slot < _RING:
            slot = self._ring[number & (_RING - 1)]
            self._in_ring += not slot.keys
        elif number in self._far:
            slot = self._far[number]
        else:
            slot = self._far[number] = _Slot()
            heappush(self._slots, number)
        slot.put(time_us & (_SLOT_US - 1), callback, arguments)

    def take(self, before_us: int) -> bool:
        """Take the next of all out, if it comes before that moment.  Cost: a step or two."""
        keys = self._begun.keys
        while not keys and not self._late:
            if not self._begin(before_us):
                return False
            keys = self._begun.keys
        begun_us = key = 0
        if keys:
            key = keys[len(keys) - 1]
            begun_us = (self._slot << _SLOT_BITS) + (key >> _PLACE_BITS)
        # What was put in while the slot is worked off comes behind its equals that were there before.
        if self._late and (not keys or self._late[0][0] < begun_us):
            if self._late[0][0] >= before_us:
                return False
            self.time_us, _, self.callback, self.arguments = heappop(self._late)
            return True
        if begun_us >= before_us:
            return False
        keys.pop()
        calls, place = self._begun.calls, key & _PLACE_MASK
        self.time_us, self.callback, self.arguments = begun_us, calls[place], calls[place + 1]
        calls[place] = calls[place + 1] = None  # while it is near: it goes now, and not with all others of the slot
        return True

    def _begin(self, before_us: int) -> bool:
        """Begin the next slot that is not empty, and that begins before that moment; whether there is one."""
        number = self._next()
        if number < 0 or number << _SLOT_BITS >= before_us:
            return False
        place = number & (_RING - 1)
        begun = self._ring[place]
        if begun.keys:
            self._ring[place] = _Slot()
            self._in_ring -= 1
        if self._slots and self._slots[0] == number:  # what was put there while it was beyond the ring comes first
            far = self._far.pop(heappop(self._slots))
            far.add(begun)
            begun = far
        begun.keys.sort(reverse=True)
        self._slot, self._begun = number, begun
        return True

    def _next(self) -> int:
        """The next slot that is not empty; -1 if there is none."""
        far = self._slots[0] if self._slots else -1
        if not self._in_ring:
            return far
        number = self._slot + 1
        while number != far:
            slot = self._ring[number & (_RING - 1)]
            if slot.keys:
                break
            number += 1
        return number


def _nothing() -> None:
    """Nothing was taken out yet."""
