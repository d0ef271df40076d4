"""What one actor has done, counted by slices: a few additions for each, in the scheduler, if metrics are on.

`waits` is a histogram by powers of two of how long the actor waited from having
something to do until it ran: `waits[n]` counts waits of at least 2^(n-1) and
less than 2^n microseconds, `waits[0]` those of none.  The scheduler notes
`ready_ns` for the first slices, then for one in 64: counting each cost a tenth of
ping-pong's throughput.
"""

from __future__ import annotations

__all__ = ["Stats"]

_BUCKETS = 32  # the last is for half an hour and more
_WAITS_ALL = 256  # slices whose waits are all measured, so that who runs seldom has a histogram too
_WAITS_EVERY = 64  # then one of so many


class Stats:
    """One actor's figures; made with its first slice."""

    __slots__ = ("handled", "measured_from", "queued_peak", "ready_ns", "run_ns", "slices", "taken_before", "waits")

    def __init__(self) -> None:
        self.handled = 0  # messages taken out of the mailbox
        self.slices = 0
        self.run_ns = 0
        self.taken_before = 0  # messages that the scheduler had taken when the slice began
        self.queued_peak = 0  # seen when a slice begins: a mailbox only grows between slices; one message not counted
        self.measured_from = 0  # the number of slices after which a wait is measured again
        self.ready_ns = 0  # when it last came to have something to do; 0: not known
        self.waits: list[int] = [0] * _BUCKETS

    def peak(self) -> int:
        """The most messages that have waited: who has handled one had one waiting."""
        return max(self.queued_peak, 1 if self.handled else 0)

    def waited(self, now_ns: int) -> None:
        """The actor, which was ready at `ready_ns`, runs now."""
        wait_us = (now_ns - self.ready_ns) // 1000
        self.ready_ns = 0
        self.measured_from = self.slices + (0 if self.slices < _WAITS_ALL else _WAITS_EVERY - 1)
        bucket = 0
        while wait_us > 0 and bucket < _BUCKETS - 1:
            wait_us >>= 1
            bucket += 1
        self.waits[bucket] += 1
