"""Whether a peer is still there: asked when it was silent, given up when it does not answer.

    heard(now_us)            anything came from it
    tick(now_us) -> Pulse    call about every `interval_us`

ICE asks too (RFC 7675), but gives up after half a minute, in which a segment is late.  A peer that sends is never
asked, so this costs nothing while there is traffic.
"""

from __future__ import annotations

import enum

__all__ = ["Liveness", "Pulse"]


class Pulse(enum.Enum):
    """What to do now."""

    NOTHING = enum.auto()
    ASK = enum.auto()  # send a heartbeat
    DEAD = enum.auto()  # close; it was silent for `dead_after_us`, and asked


class Liveness:
    """One peer's silence."""

    def __init__(self, now_us: int, *, interval_us: int, dead_after_us: int) -> None:
        """What was heard may be told up to a tick later, and silence is judged at a tick: two more than the limit."""
        self.missed = 0  # heartbeats that nothing came after, in all
        self._interval_us = interval_us
        self._dead_after_us = dead_after_us
        self._heard_us = now_us
        self._ticked_us = now_us
        self._asked = False

    def heard(self, now_us: int) -> None:
        self._heard_us = now_us
        self._asked = False

    def tick(self, now_us: int) -> Pulse:
        late_us = now_us - self._ticked_us - self._interval_us
        self._ticked_us = now_us
        if late_us > self._interval_us:
            # We did not listen either: what the peer sent meanwhile is still in our socket.
            self._heard_us = max(self._heard_us, now_us - self._interval_us)
            self._asked = False
        silent_us = now_us - self._heard_us
        if silent_us < self._interval_us:
            return Pulse.NOTHING
        if self._asked:
            self.missed += 1
        if silent_us >= self._dead_after_us and self._asked:
            return Pulse.DEAD
        self._asked = True
        return Pulse.ASK
