"""Driver for asyncio's event loops, uvloop among them.

One `call_soon` for each turn, one `call_at` for the nearest deadline: never a
task or a callback for each message.

Handlers that are coroutines run in a Fiber, which is to asyncio a task of its
own: `asyncio.current_task()` is the fiber, so `asyncio.timeout`, task groups and
whatever else asks for it work inside.  It registers itself by the functions that
asyncio documents for other makers of tasks ("Extending asyncio").  Unlike a task
it takes its first step at once, and later ones in the scheduler's turn.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task  # documented under "Extending asyncio"
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoal.runtime.statistics import LoopDelay

__all__ = ["AsyncioDriver", "AsyncioFiber"]


class AsyncioFiber:
    """Runs one actor's coroutines, one after another, as asyncio's current task."""

    __slots__ = (
        "__weakref__",
        "_cancels",
        "_context",
        "_coroutine",
        "_loop",
        "_resume",
        "_throw",
        "_waits_for",
        "value",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[], None]) -> None:
        self.value: Any = None
        self._loop = loop
        self._resume = resume
        self._context = contextvars.copy_context()
        self._coroutine: Coroutine[Any, None, Any] | None = None
        self._waits_for: Any = None
        self._throw: BaseException | None = None
        self._cancels = 0

    def begin(self, coroutine: Coroutine[Any, None, Any]) -> None:
        self._coroutine = coroutine
        self._waits_for = None
        self._throw = None
        self._cancels = 0

    def step(self) -> bool:
        coroutine = self._coroutine
        assert coroutine is not None, "a fiber steps only between begin and its end"
        self._waits_for = None
        loop: Any = self._loop
        task: Any = self
        _enter_task(loop, task)
        try:
            if self._throw is not None:
                error, self._throw = self._throw, None
                yielded = self._context.run(coroutine.throw, error)
            else:
                yielded = self._context.run(coroutine.send, None)
        except StopIteration as stop:
            self._coroutine = None
            self.value = stop.value
            return True
        except BaseException:
            self._coroutine = None
            raise
        finally:
            _leave_task(loop, task)
        self._wait_for(yielded)
        return False

    def _wait_for(self, yielded: Any) -> None:
        if yielded is None:  # asyncio.sleep(0): let the loop go round once
            self._loop.call_soon(self._resume)
            return
        if not getattr(yielded, "_asyncio_future_blocking", False):
            self._throw = RuntimeError(f"a handler awaits {yielded!r}; await futures of asyncio, or refs' replies")
            self._resume()
            return
        yielded._asyncio_future_blocking = False  # noqa: SLF001, how a task acknowledges a future
        self._waits_for = yielded
        if hasattr(yielded, "waiter"):  # a Reply: it resumes the actor in the same turn
            yielded.add_done_callback(self._woken)
        else:
            yielded.add_done_callback(self._woken, context=self._context)
        if self._throw is not None and yielded.cancel():
            self._throw = None

    def _woken(self, _future: object) -> None:
        self._resume()

    # what others may ask of a task

    def cancel(self, msg: object = None) -> bool:
        if self._coroutine is None:
            return False
        self._cancels += 1
        if self._waits_for is not None and self._waits_for.cancel():
            return True
        self._throw = asyncio.CancelledError()
        return True

    def abandon(self) -> None:
        """Close the coroutine wherever it stands."""
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None:
            coroutine.close()

    def cancelling(self) -> int:
        return self._cancels

    def uncancel(self) -> int:
        if self._cancels > 0:
            self._cancels -= 1
        return self._cancels

    def done(self) -> bool:
        return self._coroutine is None

    def cancelled(self) -> bool:
        return False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def get_coro(self) -> Any:
        return self._coroutine

    def get_context(self) -> contextvars.Context:
        return self._context

    def get_name(self) -> str:
        return "shoal-handler"


class AsyncioDriver:
    """Runs one system on one running asyncio loop."""

    __slots__ = (
        "_deadline_us",
        "_interrupted",
        "_is_awake",
        "_is_closed",
        "_owner",
        "_sampler",
        "_timer",
        "_turn",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop if loop is not None else asyncio.get_running_loop()
        self._turn: Callable[[], None] | None = None
        self._is_awake = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_us = -1
        self._sampler: asyncio.TimerHandle | None = None
        self._owner: asyncio.Task[Any] | None = None
        self._interrupted = False

    def start(self, turn: Callable[[], None]) -> None:
        self._turn = turn
        self._owner = asyncio.current_task()

    def now_us(self) -> int:
        return int(self.loop.time() * 1e6)

    def wake(self) -> None:
        if not self._is_awake and not self._is_closed:
            self._is_awake = True
            self.loop.call_soon(self._run)

    def wake_from_afar(self) -> None:
        """As `wake`, from any thread; about 5 us here, and one turn of the loop there."""
        try:
            self.loop.call_soon_threadsafe(self._run_unless_awake)
        except RuntimeError:  # the loop is closed: whoever was to be woken is gone
            if not self.loop.is_closed():
                raise

    def wake_at(self, deadline_us: int) -> None:
        if self._is_closed:
            return
        if deadline_us < 0 or (self._timer is not None and self._deadline_us <= deadline_us):
            # One set too early finds nothing due and sets the next: cheaper than moving it with each ask.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._deadline_us = deadline_us
        # One microsecond more: a float that was rounded down must not wake us before the deadline.
        self._timer = self.loop.call_at((deadline_us + 1) / 1e6, self._run_timer)

    def fiber(self, resume: Callable[[], None]) -> AsyncioFiber:
        return AsyncioFiber(self.loop, resume)

    def start_task(
        self, coroutine: Coroutine[Any, Any, object], name: str, on_end: Callable[[BaseException | None], None]
    ) -> asyncio.Task[object]:
        task = self.loop.create_task(coroutine, name=name)
        task.add_done_callback(lambda done: on_end(None if done.cancelled() else done.exception()))
        return task

    def call_soon(
        self, callback: Callable[[Any], object], argument: object, context: contextvars.Context | None
    ) -> None:
        self.loop.call_soon(callback, argument, context=context)

    def interrupt(self) -> None:
        if self._owner is not None and not self._interrupted and not self._owner.done():
            self._interrupted = True
            self._owner.cancel("an actor asked the program to end")

    def was_interrupted(self, error: BaseException | None) -> bool:
        if not self._interrupted or self._owner is None:
            return False
        self._owner.uncancel()
        return isinstance(error, asyncio.CancelledError)

    def sample_delay(self, into: LoopDelay, interval_us: int) -> None:
        interval_s = interval_us / 1e6
        due_s = self.loop.time() + interval_s

        def sample() -> None:
            nonlocal due_s
            now_s = self.loop.time()
            into.record(int((now_s - due_s) * 1e6))
            due_s = now_s + interval_s
            self._sampler = self.loop.call_at(due_s, sample)

        self._sampler = self.loop.call_at(due_s, sample)

    def close(self) -> None:
        self._is_closed = True
        for handle in (self._timer, self._sampler):
            if handle is not None:
                handle.cancel()
        self._timer = None
        self._sampler = None
        self._owner = None

    def _run(self) -> None:
        self._is_awake = False
        if self._turn is not None and not self._is_closed:
            self._turn()

    def _run_timer(self) -> None:
        self._timer = None
        self._run_unless_awake()

    def _run_unless_awake(self) -> None:
        # Two callbacks in one round of the loop need not both be turns.
        if not self._is_awake:
            self._run()
