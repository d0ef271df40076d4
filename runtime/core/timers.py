"""Deadlines in microseconds, fired in order; equal deadlines in the order they were set.

A binary heap whose entries know their place, so that cancelling removes at once
and leaves nothing behind.  Setting a deadline later than most, and cancelling
one set recently, which is what a time-out does, cost a step or two; the worst
case of either is logarithmic.

No clock in here: the caller says what time it is.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Timer", "TimerOwner", "Timers"]

_KEPT_CAPACITY = 1024  # places kept when none is set: appending and popping each time reallocates the list


class Timer:
    """One deadline: what to do (`target`, `key`, `payload`) is for whoever takes it out to know."""

    __slots__ = ("_order", "_place", "deadline_us", "interval_us", "key", "payload", "target")

    def __init__(self, deadline_us: int, target: Any, payload: Any, interval_us: int, key: object) -> None:
        self.deadline_us = deadline_us
        self.interval_us = interval_us  # 0: fires once; below 0: so long after it has fired
        self.target = target
        self.key = key
        self.payload = payload
        self._order = 0
        self._place = -1  # in the heap; -1 when not in it

    def is_set(self) -> bool:
        return self._place >= 0


class TimerOwner:
    """Who has timers by key: a base for what the runtime keeps of an actor, so that a pair of set and cancel finds the
    field without a lookup by name."""

    __slots__ = ("timers",)

    def __init__(self) -> None:
        self.timers: dict[object, Timer] | None = None  # made for the first one


class Timers:
    """The deadlines of one scheduler."""

    __slots__ = ("_count", "_heap", "_orders")

    def __init__(self) -> None:
        self._heap: list[Any] = []  # the first `_count` places are the heap; None in the others
        self._count = 0
        self._orders = 0

    def __len__(self) -> int:
        return self._count

    def set(
        self, deadline_us: int, target: Any, payload: Any = None, interval_us: int = 0, key: object = None
    ) -> Timer:
        """A new timer.  It comes out of `pop_due` once `deadline_us` has passed."""
        timer = self.make(deadline_us, target, payload, interval_us, key)
        self.put(timer)
        return timer

    def make(self, deadline_us: int, target: Any, payload: Any, interval_us: int, key: object) -> Timer:
        """A timer that is not set yet."""
        timer = Timer.__new__(Timer)  # and not Timer(...), which would box each number
        timer.deadline_us = deadline_us
        timer.interval_us = interval_us
        timer.target = target
        timer.payload = payload
        timer.key = key
        timer._place = -1  # noqa: SLF001
        return timer

    def put(self, timer: Timer) -> None:
        """Set a timer that is not set, behind those of the same deadline."""
        self._orders += 1
        timer._order = self._orders  # noqa: SLF001, a timer belongs to its heap
        count = self._count
        if count == len(self._heap):
            self._heap.append(timer)
        self._count = count + 1
        self._rise(timer, count)

    def cancel(self, timer: Timer) -> bool:
        """Take the timer out.  False when it had fired or was cancelled before."""
        place = timer._place  # noqa: SLF001
        if place < 0:
            return False
        timer._place = -1  # noqa: SLF001
        count = self._count - 1
        self._count = count
        last: Timer = self._heap[count]
        if count == 0 and len(self._heap) > _KEPT_CAPACITY:
            self._heap = []
        else:
            self._heap[count] = None
        if last is not timer:
            self._rise(last, place)
            if last._place == place:  # noqa: SLF001
                self._sink(last, place)
        return True

    def next_deadline_us(self) -> int:
        """The earliest deadline, or -1 when none is set."""
        if self._count == 0:
            return -1
        first: Timer = self._heap[0]
        return first.deadline_us

    def pop_due(self, now_us: int) -> Timer | None:
        """The earliest timer if its deadline has come, taken out; else None."""
        if self._count == 0:
            return None
        first: Timer = self._heap[0]
        if first.deadline_us > now_us:
            return None
        self.cancel(first)
        return first

    def _rise(self, timer: Timer, place: int) -> None:
        heap = self._heap
        while place > 0:
            above_place = (place - 1) >> 1
            above = heap[above_place]
            if above.deadline_us < timer.deadline_us or (
                above.deadline_us == timer.deadline_us and above._order < timer._order  # noqa: SLF001
            ):
                break
            heap[place] = above
            above._place = place  # noqa: SLF001
            place = above_place
        heap[place] = timer
        timer._place = place  # noqa: SLF001

    def _sink(self, timer: Timer, place: int) -> None:
        heap = self._heap
        size = self._count
        while True:
            below_place = 2 * place + 1
            if below_place >= size:
                break
            below = heap[below_place]
            if below_place + 1 < size:
                other = heap[below_place + 1]
                if other.deadline_us < below.deadline_us or (
                    other.deadline_us == below.deadline_us and other._order < below._order  # noqa: SLF001
                ):
                    below = other
                    below_place += 1
            if timer.deadline_us < below.deadline_us or (
                timer.deadline_us == below.deadline_us and timer._order < below._order  # noqa: SLF001
            ):
                break
            heap[place] = below
            below._place = place  # noqa: SLF001
            place = below_place
        heap[place] = timer
        timer._place = place  # noqa: SLF001
