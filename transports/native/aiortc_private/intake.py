"""What packets may take of one step of a loop, all connections together; those beyond it wait for the next step.

A loop reads all sockets that have something before it looks at its timers again: with a hundred peers, and two dozen
packets in each, that was 140 ms in which a player on the same loop heard nothing.  Packets are handled in the order in
which they were read, whosever they are, so that of one peer none overtakes another, and none is lost.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Intake", "intake_of"]

# Well below what a player or a timer of 20 ms notices, and well above what one connection at full speed takes: it reads
# 32 packets in a step, a millisecond.
BUDGET_S = 0.004
# 5 MB of packets.  More is handled in place: to lose what the kernel did not would cost more than a late timer.
WAITING_MAX = 4096


Handler = Callable[[bytes, tuple[Any, ...]], None]  # of a datagram, and from where it came


class Intake:
    """The packets of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds; a loop's own may stand still during a step."""
        self._loop = weakref.ref(loop)  # `_OF_LOOPS` keeps this for as long as it keeps the loop, so not by this
        self._clock = clock
        self._waiting: deque[tuple[Handler, bytes, tuple[Any, ...]]] = deque()
        self._ends_s: float | None = None  # when packets have had their part of a step in which there were some

    def take(self, handle: Handler, packet: bytes, address: tuple[Any, ...]) -> None:
        """Handle it now, if this step has time left and none waits; else in one of the next."""
        if self._ends_s is None:
            self._ends_s = self._begin()
        elif self._waiting or self._clock() >= self._ends_s:
            self._waiting.append((handle, packet, address))
            if len(self._waiting) > WAITING_MAX:
                self._handle_first()
            return
        handle(packet, address)

    def forget(self, handle: Handler) -> None:
        """What waits for it is not handled any more."""
        if self._waiting:
            self._waiting = deque(entry for entry in self._waiting if entry[0] != handle)

    def _begin(self) -> float:
        """When packets will have had their part of this step."""
        loop = self._loop()
        assert loop is not None, "packets are read by the loop that is running"
        loop.call_soon(self._next_step)
        return self._clock() + BUDGET_S

    def _next_step(self) -> None:
        if not self._waiting:
            self._ends_s = None
            return
        self._ends_s = ends_s = self._begin()
        while self._waiting and self._clock() < ends_s:
            self._handle_first()

    def _handle_first(self) -> None:
        handle, packet, address = self._waiting.popleft()
        handle(packet, address)


_OF_LOOPS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Intake] = weakref.WeakKeyDictionary()


def intake_of(loop: asyncio.AbstractEventLoop) -> Intake:
    """Those of this loop, the same for all connections."""
    intake = _OF_LOOPS.get(loop)
    if intake is None:
        intake = _OF_LOOPS[loop] = Intake(loop)
    return intake
