"""Waiting for the next message from another thread at a gate, and not in the loop.

Two actors that talk to each other from thread to thread would each wake the other's loop
for every message: six times what it takes to hand the GIL over (`core/gates.py`).  So a
thread whose last pauses were short lingers: after a turn that left nothing to do it waits
in the line of turns (`turns.py`), where a sender rings without a system call.

    turn -> nothing left -> park -> rung for: the next turn, with the token
                                 -> nobody rang soon: back to the loop

The loop is held meanwhile, so there are limits: it goes round when a turn's budget has
passed, and a wait in vain is ended after `PAUSE_NS`, and makes the habit harder to take up.  What the actors
of the thread have put into their loop (a socket, an asyncio timer) waits for lingering no
longer than for two turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.runtime.core import clocks as _clock
from shoal.runtime.turns import PAUSE_NS, Ticket

if TYPE_CHECKING:
    from shoal.runtime.core.scheduler import Scheduler
    from shoal.runtime.turns import Turns

__all__ = ["Lingering"]

_PAUSE_NS = PAUSE_NS
# Pauses in a row that must have been short; after a wait in vain twice as many, so that a handler which asks and then
# awaits something of its loop loses one wait in a thousand.  As few as at first, if so many waits were worth while
# since the last in vain: each of them saves a fifth of what that one takes.
_PAUSES_MIN = 3
_PAUSES_MAX = 1024
_WORTH_A_WAIT = 10

NOTHING_LEFT = 0
WORK_LEFT = 1
STINT_OVER = 2


class Lingering:
    """One thread's habit of waiting for others, and its ticket."""

    __slots__ = (
        "_pauses_needed",
        "_rested_ns",
        "_rung_for",
        "_scheduler",
        "_short_pauses",
        "_turns",
        "_wake_loop",
        "is_closed",
        "is_on",
        "ticket",
    )

    def __init__(
        self, turns: Turns, scheduler: Scheduler, wake_loop: Callable[[], None], *, is_on: bool, weight: int = 0
    ) -> None:
        self.ticket = Ticket(weight)
        self.is_on = is_on  # else this only keeps the ticket
        self.is_closed = False  # the scheduler's end: no turn comes any more
        self._turns = turns
        self._scheduler = scheduler
        self._wake_loop = wake_loop
        self._rested_ns = 0  # when the last turn ended
        self._short_pauses = 0  # that were ended from afar, in a row
        self._pauses_needed = _PAUSES_MIN
        self._rung_for = 0  # waits that were not in vain, since the last that was

    def wake(self) -> None:
        """Something has come for this thread's actors; from any thread."""
        if not self._turns.ring(self.ticket):
            self._wake_loop()

    def begin(self) -> None:
        """Take the token for a turn that the loop has called for."""
        if self.is_on and self.ticket.is_rung:
            pause_ns = _clock.perf_counter_ns() - self._rested_ns
            self._short_pauses = self._short_pauses + 1 if pause_ns < _PAUSE_NS else 0
        self._turns.take(self.ticket)

    def end(self) -> None:
        """Hand the token on, after a turn that left nothing to do."""
        self._turns.hand_on(self.ticket)
        self._rested_ns = _clock.perf_counter_ns()

    def go_on(self) -> None:
        """Hand the token on after a turn that left more to do, and wait for it: the loop calls for it at once."""
        if self.is_closed:
            self._turns.hand_on(self.ticket)
        else:
            self._turns.rejoin(self.ticket)

    def close(self) -> None:
        """No turn comes any more."""
        self.is_closed = True
        self._turns.hand_on(self.ticket)

    def is_worth_it(self) -> bool:
        """Whether the last pauses were short."""
        return self.is_on and not self.is_closed and self._short_pauses >= self._pauses_needed

    def linger(self, budget_us: int, now_us: int) -> int:
        """After a turn that left nothing to do, or after `STINT_OVER`: more turns, for as long as others soon ring.

        Hands on the token.  `now_us` is the loop's time.
        """
        began_ns = now_ns = _clock.perf_counter_ns()
        scheduler = self._scheduler
        while True:
            if not self._turns.park(self.ticket):
                self._rested_ns = _clock.perf_counter_ns()
                if self.ticket.is_dismissed:
                    self._short_pauses = 0
                    self._pauses_needed = min(2 * self._pauses_needed, _PAUSES_MAX)
                    if self._rung_for >= _WORTH_A_WAIT:
                        self._pauses_needed = _PAUSES_MIN
                    self._rung_for = 0
                return NOTHING_LEFT
            self._rung_for += 1
            ended = False
            try:
                now_ns = _clock.perf_counter_ns()
                more = scheduler.turn(budget_us, now_us + (now_ns - began_ns) // 1000)
                ended = True
            finally:
                if not ended:
                    self.end()
            if more:
                self.go_on()
                return WORK_LEFT
            if self.is_closed or now_ns - began_ns > budget_us * 1000:
                self.end()
                return STINT_OVER
