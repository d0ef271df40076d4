"""The cells that have something to do, least virtual run time first.

A cell that slept comes in at most one slice behind the one that ran last: it
goes ahead of every flooder, and cannot save up time to hold the others up with.
Equal times come out in order of arrival, so that runs repeat.

A binary heap; a cell is in it once at most, and its time does not change while
it is (`Cell.is_ready`).  A queue of two boosted classes instead let a burst of
sleepers hold others up for 40 ms; round robin made a sleeper wait for every
flooder's slice.
"""

from __future__ import annotations

from typing import Any

from .cell import Cell

__all__ = ["ReadyQueue", "weighed"]

_KEPT_CAPACITY = 1024  # places kept once the queue is empty: appending and popping each time reallocates the list


class ReadyQueue:
    """A priority queue of cells."""

    __slots__ = ("_heap", "_lead_ns", "_only", "_orders", "count", "floor_ns")

    def __init__(self, lead_ns: int) -> None:
        self.count = 0
        self._lead_ns = lead_ns  # what a sleeper may be behind: one slice
        self.floor_ns = 0  # virtual run time of the cell that ran last
        self._orders = 0
        self._only: Cell | None = None  # when there is but one, which came to an empty queue: it needs no heap
        self._heap: list[Any] = []  # the first `count` places are the heap; None in the others

    def push(self, cell: Cell) -> None:
        """Put in a cell that is not in here."""
        floor_ns = self.floor_ns - self._lead_ns
        if cell.virtual_ns < floor_ns:  # noqa: PLR1730, max() would be a call of Python
            cell.virtual_ns = floor_ns
        self._orders += 1
        cell.order = self._orders
        cell.is_ready = True
        place = self.count
        if place == 0:
            self._only = cell
            self.count = 1
        else:
            heap = self._heap
            if self._only is not None:
                if not heap:
                    heap.append(None)
                heap[0] = self._only
                self._only = None
            if place == len(heap):
                heap.append(cell)
            self.count = place + 1
            while place > 0:
                above_place = (place - 1) >> 1
                above = heap[above_place]
                # Whoever arrives has the latest order: it stays behind its equals.
                if above.virtual_ns <= cell.virtual_ns:
                    break
                heap[place] = above
                place = above_place
            heap[place] = cell

    def pop(self) -> Cell:
        """Take out the first; there must be one."""
        size = self.count - 1
        self.count = size
        if self._only is not None:
            only = self._only
            self._only = None
            only.is_ready = False
            if only.virtual_ns > self.floor_ns:  # noqa: PLR1730, as in `push`
                self.floor_ns = only.virtual_ns
            return only
        heap = self._heap
        first: Cell = heap[0]
        cell = heap[size]
        heap[size] = None
        if size == 0:
            if len(heap) > _KEPT_CAPACITY:
                self._heap = []
        else:
            place = 0
            while True:
                below_place = 2 * place + 1
                if below_place >= size:
                    break
                below = heap[below_place]
                if below_place + 1 < size:
                    other = heap[below_place + 1]
                    if other.virtual_ns < below.virtual_ns or (
                        other.virtual_ns == below.virtual_ns and other.order < below.order
                    ):
                        below = other
                        below_place += 1
                if cell.virtual_ns < below.virtual_ns or (
                    cell.virtual_ns == below.virtual_ns and cell.order < below.order
                ):
                    break
                heap[place] = below
                place = below_place
            heap[place] = cell
        first.is_ready = False
        if first.virtual_ns > self.floor_ns:  # noqa: PLR1730, as in `push`
            self.floor_ns = first.virtual_ns
        return first

    def remove(self, cell: Cell) -> None:
        """Take out a cell that is in here, out of its turn.  Linear in the number of cells."""
        cell.is_ready = False
        size = self.count - 1
        self.count = size
        if self._only is not None:
            self._only = None
            return
        heap = self._heap
        place = 0
        while heap[place] is not cell:
            place += 1
        last: Cell = heap[size]
        heap[size] = None
        if place == size:
            return
        while place > 0:
            above_place = (place - 1) >> 1
            above = heap[above_place]
            if not _is_before(last, above):
                break
            heap[place] = above
            place = above_place
        while True:
            below_place = 2 * place + 1
            if below_place >= size:
                break
            if below_place + 1 < size and _is_before(heap[below_place + 1], heap[below_place]):
                below_place += 1
            below = heap[below_place]
            if not _is_before(below, last):
                break
            heap[place] = below
            place = below_place
        heap[place] = last


def _is_before(one: Cell, other: Cell) -> bool:
    return one.virtual_ns < other.virtual_ns or (one.virtual_ns == other.virtual_ns and one.order < other.order)


def weighed(used_ns: int, weight: int) -> int:
    """What run time counts for, by a weight in hundredths: 4.00 makes a microsecond a quarter of one.

    Rounded up, or the many short slices of who has little to do at a time would be for nothing.
    """
    return (used_ns * 100 + weight - 1) // weight
