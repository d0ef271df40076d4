"""Driver and event loop of a simulation: virtual time, one actor's step at a time, no sockets, no threads.

    loop round   callbacks that are ready -> one turn of one system, which is one step of one actor
    nothing is ready -> the clock jumps to the next deadline, of asyncio or of the actors
    nothing can ever happen again -> Stuck, which says so

Time passes only by such jumps and by what handlers are declared to cost
(`spend_us`); it is an integer of microseconds, so that no rounding differs
between runs.  All of asyncio that needs no file descriptor works and obeys this
time: sleep, wait_for, timeout, queues, events, tasks, task groups.  `to_thread`
and executors run their function at once, on the spot.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .asyncio_loop import AsyncioDriver

if TYPE_CHECKING:
    from shoal.runtime.statistics import LoopDelay

__all__ = ["SimulatedDriver", "SimulatedLoop", "Stuck"]

_ROUNDING_US = 0.001  # a float deadline may be off by this much from the microsecond it means
_LAST_STEPS = 100_000  # for what ends a program that was cut short: each actor needs a few
_LAST_US = 60_000_000


class Stuck(TimeoutError):
    """Nothing can happen any more, or too much has: every task waits, or actors or tasks never rest."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """An asyncio loop in virtual time, which also gives the actors their turns."""

    def __init__(self, *, limit_us: int = 3_600_000_000, steps_max: int = 1_000_000) -> None:
        super().__init__()
        self.steps = 0  # of actors
        self._now_us = 0
        self._limit_us = limit_us
        self._steps_max = steps_max
        self._awake: deque[SimulatedDriver] = deque()  # a driver is in here once at most
        self._drivers: list[SimulatedDriver] = []
        self._idle: list[asyncio.Future[None]] = []
        self._rounds = 0  # since time has passed last
        self._round_us = 0
        # Of asyncio's own loop, which publishes no types for them.
        self._callbacks: deque[Any] = self._ready  # type: ignore[attr-defined]
        self._deadlines: list[Any] = self._scheduled  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now_us / 1e6

    def now_us(self) -> int:
        return self._now_us

    def spend_us(self, cost_us: int) -> None:
        """Let a handler take time: nothing else happens meanwhile."""
        self._now_us += cost_us

    def grant_steps(self) -> None:
        """Let what is left of a program end, as far as it can."""
        self._steps_max = self.steps + _LAST_STEPS
        self._rounds = 0
        self._limit_us = self._now_us + _LAST_US

    async def until_idle(self) -> None:
        """Wait until nothing more can happen at this moment of time."""
        idle = self.create_future()
        self._idle.append(idle)
        await idle

    def attach(self, driver: SimulatedDriver) -> None:
        self._drivers.append(driver)

    def detach(self, driver: SimulatedDriver) -> None:
        if driver in self._drivers:
            self._drivers.remove(driver)
        if driver in self._awake:
            self._awake.remove(driver)

    def wake(self, driver: SimulatedDriver) -> None:
        self._awake.append(driver)

    def _run_once(self) -> None:
        """One round; what `run_forever` repeats."""
        callbacks = self._callbacks
        self._count_round()
        if not callbacks and not self._awake and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        deadlines = self._deadlines
        while deadlines and (deadlines[0]._cancelled or self._is_due(deadlines[0]._when)):  # noqa: SLF001
            handle = heapq.heappop(deadlines)
            handle._scheduled = False  # noqa: SLF001
            if not handle._cancelled:  # noqa: SLF001
                callbacks.append(handle)
        for _ in range(len(callbacks)):
            handle = callbacks.popleft()
            if not handle._cancelled:  # noqa: SLF001
                handle._run()  # noqa: SLF001
        for driver in self._drivers:
            if 0 <= driver.deadline_us <= self._now_us:
                driver.deadline_us = -1
                driver.wake()
        if self._awake:
            self.steps += 1
            if self.steps > self._steps_max:
                raise Stuck(f"{self._steps_max} steps were taken; do two actors tell each other without end?")
            self._awake.popleft().run_turn()

    def _count_round(self) -> None:
        """Stuck, if tasks go on and on while no time passes, which no limit of steps or of time would end."""
        if self._now_us != self._round_us:
            self._round_us, self._rounds = self._now_us, 0
        self._rounds += 1
        if self._rounds > self._steps_max:
            raise Stuck(f"{self._steps_max} rounds of the loop took no time; does a task await sleep(0) without end?")

    def _is_due(self, when_s: float) -> bool:
        return when_s * 1e6 - _ROUNDING_US <= self._now_us

    def _jump(self) -> None:
        if self._idle:
            waiting = [idle for idle in self._idle if not idle.done()]
            self._idle = []
            for idle in waiting:
                idle.set_result(None)
            if waiting:
                return
        while self._deadlines and self._deadlines[0]._cancelled:  # noqa: SLF001
            heapq.heappop(self._deadlines)._scheduled = False  # noqa: SLF001
        next_us = -1
        if self._deadlines:
            next_us = math.ceil(self._deadlines[0]._when * 1e6 - _ROUNDING_US)  # noqa: SLF001
        for driver in self._drivers:
            if driver.deadline_us >= 0 and (next_us < 0 or driver.deadline_us < next_us):
                next_us = driver.deadline_us
        if next_us < 0:
            raise Stuck("every task waits, and no timer is set: nothing can happen any more")
        if next_us > self._limit_us:
            raise Stuck(f"{self._limit_us / 1e6:g} s of virtual time have passed; what does the program wait for?")
        self._now_us = max(self._now_us, next_us)

    # what a loop without a selector needs

    def _write_to_self(self) -> None:
        """Wake a select that waits: there is none."""

    def _process_events(self, event_list: object) -> None:
        """Nothing comes from outside."""

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run the function here and now: a thread would end at a moment of its own choosing."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # the awaiting task's to handle, as a thread's would be
            future.set_exception(error)
        return future


class SimulatedDriver(AsyncioDriver):
    """Runs one system on a SimulatedLoop; fibers and tasks are those of asyncio."""

    __slots__ = ("_simulated", "deadline_us")

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__(loop)
        self.deadline_us = -1
        self._simulated = loop

    def start(self, turn: Callable[[], None]) -> None:
        super().start(turn)
        self._simulated.attach(self)

    def now_us(self) -> int:
        return self._simulated.now_us()

    def wake(self) -> None:
        if not self._is_awake and not self._is_closed:
            self._is_awake = True
            self._simulated.wake(self)

    def wake_at(self, deadline_us: int) -> None:
        self.deadline_us = deadline_us

    def run_turn(self) -> None:
        """Called by the loop."""
        self._run()

    def sample_delay(self, into: LoopDelay, interval_us: int) -> None:
        """Virtual time is never late."""

    def close(self) -> None:
        self._simulated.detach(self)
        super().close()
