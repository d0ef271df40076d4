"""Driver without an event loop: a test says when to run and how late it is.

Nothing runs by itself.  `run_until_idle` runs what is ready, `advance_us` lets
virtual time pass through every deadline on the way.  Coroutines may await refs'
replies; what needs a real event loop (sockets, `asyncio.sleep`) fails with an
error that says so: for those there is `testing.run_virtual`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from shoal.runtime.clock import ManualClock

if TYPE_CHECKING:
    from shoal.runtime.statistics import LoopDelay

__all__ = ["Cancelled", "ManualDriver"]

_TURNS_MAX = 100_000  # of one run_until_idle: actors that never rest are a mistake to be told of


class Cancelled(BaseException):
    """Raised where a coroutine waits when its actor ends; the part of asyncio.CancelledError."""


class ManualFiber:
    """Runs coroutines that await nothing but replies."""

    __slots__ = ("_coroutine", "_resume", "_throw", "_waits_for", "value")

    def __init__(self, resume: Callable[[], None]) -> None:
        self.value: Any = None
        self._resume = resume
        self._coroutine: Coroutine[Any, None, Any] | None = None
        self._waits_for: Any = None
        self._throw: BaseException | None = None

    def begin(self, coroutine: Coroutine[Any, None, Any]) -> None:
        self._coroutine = coroutine
        self._waits_for = None
        self._throw = None

    def step(self) -> bool:
        coroutine = self._coroutine
        assert coroutine is not None, "a fiber steps only between begin and its end"
        self._waits_for = None
        error, self._throw = self._throw, None
        try:
            yielded = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            self._coroutine = None
            self.value = stop.value
            return True
        except BaseException:
            self._coroutine = None
            raise
        if yielded is None:
            self._resume()
        elif hasattr(yielded, "waiter"):
            self._waits_for = yielded
            yielded.add_done_callback(lambda _: self._resume())
        else:
            self._throw = RuntimeError(
                f"a handler awaits {yielded!r}; with ManualDriver it can await refs' replies only"
            )
            self._resume()
        return False

    def cancel(self, msg: object = None) -> bool:
        if self._coroutine is None:
            return False
        self._throw = Cancelled()
        if self._waits_for is not None:
            self._waits_for.cancel()
        return True

    def abandon(self) -> None:
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None:
            coroutine.close()


class _Task:
    """What `start_task` makes: a fiber with a place in the driver's queue."""

    __slots__ = ("_driver", "_fiber", "_on_end")

    def __init__(
        self,
        driver: ManualDriver,
        coroutine: Coroutine[Any, Any, object],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._driver = driver
        self._on_end = on_end
        self._fiber = ManualFiber(lambda: driver.queue(self.step))
        self._fiber.begin(coroutine)
        driver.queue(self.step)

    def step(self) -> None:
        try:
            if self._fiber.step():
                self._on_end(None)
        except Cancelled:
            self._on_end(None)
        except Exception as error:  # an actor's task fails its actor
            self._on_end(error)

    def cancel(self) -> None:
        self._fiber.cancel()
        self._driver.queue(self.step)


class ManualDriver:
    """Runs one system in virtual time, on the caller's stack."""

    __slots__ = ("_deadline_us", "_is_awake", "_queue", "_turn", "clock", "loop")

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock if clock is not None else ManualClock()
        self.loop = None
        self._turn: Callable[[], None] | None = None
        self._is_awake = False
        self._deadline_us = -1
        self._queue: deque[Callable[[], object]] = deque()

    # for tests

    def run_until_idle(self) -> int:
        """Run what is ready and what becomes ready by it, at this moment of time.  Returns the number of turns."""
        turns = 0
        while self._is_awake or self._queue:
            while self._queue:
                self._queue.popleft()()
            if self._is_awake:
                self._is_awake = False
                assert self._turn is not None, "only a started system wakes its driver"
                self._turn()
            turns += 1
            if turns > _TURNS_MAX:
                raise RuntimeError(
                    f"the actors were not idle after {_TURNS_MAX} turns; do two of them tell each other?"
                )
        return turns

    def advance_us(self, delay_us: int) -> None:
        """Let time pass: each deadline on the way comes at its own time, in order."""
        end_us = self.clock.now_us() + delay_us
        self.run_until_idle()
        while 0 <= self._deadline_us <= end_us:
            self.clock.jump_to_us(self._deadline_us)
            self._deadline_us = -1
            self.wake()
            self.run_until_idle()
        self.clock.jump_to_us(end_us)
        self.wake()
        self.run_until_idle()

    # for the runtime

    def start(self, turn: Callable[[], None]) -> None:
        self._turn = turn

    def now_us(self) -> int:
        return self.clock.now_us()

    def wake(self) -> None:
        self._is_awake = True

    def wake_at(self, deadline_us: int) -> None:
        self._deadline_us = deadline_us

    def fiber(self, resume: Callable[[], None]) -> ManualFiber:
        return ManualFiber(resume)

    def start_task(
        self, coroutine: Coroutine[Any, Any, object], name: str, on_end: Callable[[BaseException | None], None]
    ) -> _Task:
        return _Task(self, coroutine, on_end)

    def queue(self, step: Callable[[], object]) -> None:
        """Run a task's step before the next turn, once however often it is asked for."""
        if step not in self._queue:
            self._queue.append(step)

    def call_soon(self, callback: Callable[[Any], object], argument: object, context: Context | None) -> None:
        self.queue(lambda: callback(argument))

    def interrupt(self) -> None:
        """There is no task to cancel: `system.begin_stop` is answered, and `Life.fatal` set."""

    def was_interrupted(self, error: BaseException | None) -> bool:
        return False

    def sample_delay(self, into: LoopDelay, interval_us: int) -> None:
        """Virtual time is never late."""

    def close(self) -> None:
        self._turn = None
        self._is_awake = False
        self._deadline_us = -1
        self._queue.clear()
