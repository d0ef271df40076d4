"""Turn-taking: under a GIL, one thread at a time runs its actors.

Threads that compute otherwise hold each other up: each waits for the GIL until the
other's switch interval (5 ms) is over, and whoever waits longest is not who gets it.
Here a thread takes the token before a turn of its scheduler and hands it on after it,
to the thread that has had it for the least time, which is woken by a lock of its own.
A thread that slept comes in at most one turn behind the others, as a sleeping actor does
among ready ones (`core/ready.py`): it goes ahead, and cannot save up time.

A handler that blocks holds the token without computing: after `patience_s` the next in
line takes it from the holder, who hands on nothing when it comes back.  Subtrees marked
`blocking` take no part at all.
"""

from __future__ import annotations

import heapq
import threading
import time

__all__ = ["Ticket", "Turns"]

PATIENCE_S = 0.005  # as the GIL's own switch interval: twenty turns
LEAD_S = 0.00025  # what a sleeper may be behind: one turn


class Ticket:
    """One thread's place in the line."""

    __slots__ = ("had_s", "lock", "order")

    def __init__(self) -> None:
        self.had_s = 0.0  # how long it has had the token, or was let off while it slept
        self.order = 0  # breaks ties
        self.lock = threading.Lock()
        self.lock.acquire()  # released once for each time the token is handed over

    def __lt__(self, other: Ticket) -> bool:
        return (self.had_s, self.order) < (other.had_s, other.order)


class Turns:
    """The token, and who waits for it.  At most one place in line for each thread."""

    __slots__ = ("_floor_s", "_holder", "_lock", "_orders", "_patience_s", "_since_s", "_waiting", "taken_away")

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.taken_away = 0  # times a holder was too slow
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._holder: Ticket | None = None
        self._since_s = 0.0  # when the holder got it
        self._floor_s = 0.0  # what the holder had had then
        self._orders = 0
        self._waiting: list[Ticket] = []  # a heap

    def take(self, ticket: Ticket) -> None:
        """Wait for the token."""
        with self._lock:
            ticket.had_s = max(ticket.had_s, self._floor_s - LEAD_S)
            if self._holder is None:
                self._give(ticket)
                return
            self._orders += 1
            ticket.order = self._orders
            heapq.heappush(self._waiting, ticket)
        while not ticket.lock.acquire(timeout=self._patience_s):
            with self._lock:
                if ticket.lock.acquire(blocking=False):  # it came at the last moment
                    return
                is_late = time.monotonic() - self._since_s >= self._patience_s
                if is_late and self._waiting[0] is ticket:
                    heapq.heappop(self._waiting)
                    self._charge()
                    self._give(ticket)
                    self.taken_away += 1
                    return

    def hand_on(self, ticket: Ticket) -> None:
        """Let the next in line run.  Nothing, if the token was taken away."""
        with self._lock:
            if self._holder is not ticket:
                return
            self._charge()
            if not self._waiting:
                self._holder = None
                return
            following = heapq.heappop(self._waiting)
            self._give(following)
            following.lock.release()

    def _charge(self) -> None:
        if self._holder is not None:
            self._holder.had_s += time.monotonic() - self._since_s

    def _give(self, ticket: Ticket) -> None:
        self._holder = ticket
        self._since_s = time.monotonic()
        self._floor_s = max(self._floor_s, ticket.had_s)
