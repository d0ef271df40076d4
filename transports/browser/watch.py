"""Whether the peer of a connection is still there, by what the page's browser counts of what came from it.

A browser says `disconnected` of a path that brings nothing after five seconds, and `failed` after half a minute: both
are too late to fetch a segment from somebody else.  It shows no packet, but Chromium and Safari count them, and ask the
other side by themselves every 2.5 s (RFC 7675), so a look at the counts is in the place of a question of ours.  Where
they are not counted (Firefox asks every five seconds), `disconnected` has to do.

A look is had only of peers that sent no message for an interval, and nobody is taken for dead without a last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.liveness import Liveness, Pulse

from .page import JsException, run_js

__all__ = ["Watch"]

_SECOND_US = 1_000_000
# Of silence only a look tells, and what the first one counts is news: who vanished is noticed within eight, 4.4 s.  Not
# shorter: timers of hidden pages come once a second, which is taken for a stop of our own from twice this on.
_LOOK_US = 550_000
# Summed there: each object of a report that Python touches is wrapped.
_COUNTED: Any = run_js(
    """async (connection) => {
      let count = null;
      for (const one of (await connection.getStats()).values())
        if (one.type === "candidate-pair" && one.requestsReceived !== undefined)
          count += one.requestsReceived + (one.responsesReceived ?? 0) + (one.packetsReceived ?? 0);
      return count;
    }"""
)


class Watch:
    """Of one connection, from its channel's opening until `release`."""

    def __init__(self, connection: Any, limits: ChannelLimits, on_silence: Callable[[], None]) -> None:
        self.heard = False  # set with each message
        self._connection = connection
        self._on_silence = on_silence
        self._loop = asyncio.get_running_loop()
        self._liveness = Liveness(self._now_us(), interval_us=_LOOK_US, dead_after_us=limits.dead_after_us)
        self._count: int | None = None
        self._is_last = False
        self._looking: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(_LOOK_US / _SECOND_US, self._tick)

    def release(self) -> None:
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _tick(self) -> None:
        now_us = self._now_us()
        if self.heard:
            self.heard = False
            self._liveness.heard(now_us)
        pulse = self._liveness.tick(now_us)
        if pulse is not Pulse.NOTHING:
            self._is_last = pulse is Pulse.DEAD
            if self._looking is None:
                self._looking = asyncio.ensure_future(self._look())
        self._timer = self._loop.call_later(_LOOK_US / _SECOND_US, self._tick)

    async def _look(self) -> None:
        try:
            count = await _COUNTED(self._connection)
        except JsException:  # it is being closed
            count = None
        finally:
            self._looking = None
        if count is None:
            self._timer.cancel()
        elif count != self._count:
            self._count = count
            self._liveness.heard(self._now_us())
        elif self._is_last:
            self._on_silence()

    def _now_us(self) -> int:
        return int(self._loop.time() * _SECOND_US)
