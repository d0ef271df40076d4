"""Driver for a scheduler that is one of several, each on a thread of its own.

The loop is asyncio's, or whatever the system's loop is; beyond `AsyncioDriver` it takes
turns with the other threads, where that helps (`turns.py`), lingers for others who call
often (`lingering.py`), and has no task that could be interrupted: what would end the
program is for the system's own thread to do.  That thread does not linger: others than
our actors are on its loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from .asyncio_loop import AsyncioDriver
from .lingering import STINT_OVER, WORK_LEFT, Lingering

if TYPE_CHECKING:
    from shoal.runtime.core.scheduler import Scheduler
    from shoal.runtime.turns import Turns

__all__ = ["ThreadDriver"]


class ThreadDriver(AsyncioDriver):
    """Runs one of a system's schedulers on the running loop."""

    __slots__ = ("_budget_us", "_lingering", "_on_interrupt", "_scheduler")

    def __init__(
        self,
        turns: Turns | None,
        scheduler: Scheduler,
        budget_us: int = 0,
        on_interrupt: Callable[[], None] | None = None,
        *,
        weight: int = 0,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self._scheduler = scheduler
        self._budget_us = budget_us
        self._on_interrupt = on_interrupt
        self._lingering: Lingering | None = None
        if turns is not None:
            is_on = on_interrupt is not None and self.is_real_time
            self._lingering = Lingering(turns, scheduler, self.wake_from_afar, is_on=is_on, weight=weight)

    @property
    def bell(self) -> Callable[[], None]:
        """What other threads call when something has come for the actors here."""
        return self.wake_from_afar if self._lingering is None else self._lingering.wake

    def interrupt(self) -> None:
        if self._on_interrupt is None:
            super().interrupt()
        else:
            self._on_interrupt()

    def close(self) -> None:
        super().close()
        if self._lingering is not None:
            self._lingering.close()

    def _run(self) -> None:
        lingering = self._lingering
        if lingering is None:
            super()._run()
            return
        lingering.begin()
        try:
            super()._run()
        except BaseException:
            lingering.end()
            raise
        if self._is_awake:
            lingering.go_on()
        elif lingering.is_worth_it():
            self._linger()
        else:
            lingering.end()

    def _linger(self) -> None:
        lingering = self._lingering
        if lingering is None or self._is_awake or self._is_closed:
            return
        found = WORK_LEFT
        try:
            found = lingering.linger(self._budget_us, self.now_us())
        finally:
            if found == WORK_LEFT:
                self.wake()
            deadline_us = self._scheduler.timers.next_deadline_us()
            if deadline_us >= 0:
                self.wake_at(deadline_us)
        if found == STINT_OVER:
            self.loop.call_soon(self._linger, context=self._context)  # when it has gone round
