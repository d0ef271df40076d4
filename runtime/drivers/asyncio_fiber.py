"""A coroutine of an actor, run as asyncio's current task but not by a task.

Handlers that are coroutines run in a Fiber, which is to asyncio a task of its
own: `asyncio.current_task()` is the fiber, so `asyncio.timeout`, task groups and
whatever else asks for it work inside.  It registers itself by the functions that
asyncio documents for other makers of tasks ("Extending asyncio").  Unlike a task
it takes its first step at once, and later ones in the scheduler's turn.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _enter_task as enter  # documented under "Extending asyncio"
from asyncio.tasks import _leave_task as leave
from collections.abc import Callable, Coroutine
from typing import Any

from shoal.runtime.core.reply import Reply

from . import contexts as _contexts

__all__ = ["AsyncioFiber"]


class AsyncioFiber:
    """Runs one actor's coroutines, one after another, as asyncio's current task."""

    __slots__ = (
        "__weakref__",
        "_cancels",
        "_context",
        "_coroutine",
        "_end",
        "_loop",
        "_resume",
        "_throw",
        "_waits_for",
        "cell",
        "value",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[], None]) -> None:
        self.value: Any = None
        self.cell: Any = None  # whose, if a Reply is to resume that and not to call `resume`
        self._loop = loop
        self._resume = resume
        self._context = contextvars.copy_context()
        self._coroutine: Coroutine[Any, None, Any] | None = None
        self._end: list[Any] = [None]  # where `send` puts what the coroutine returned
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
        enter(loop, task)
        try:
            if self._throw is not None:
                error, self._throw = self._throw, None
                yielded = self._context.run(coroutine.throw, error)
            else:
                yielded = _contexts.send(self._context, coroutine, self._end)
                if yielded is self._end:
                    self._coroutine = None
                    self.value = self._end[0]
                    self._end[0] = None
                    return True
        except StopIteration as stop:  # from `throw`
            self._coroutine = None
            self.value = stop.value
            return True
        except BaseException:
            self._coroutine = None
            raise
        finally:
            leave(loop, task)
        self._wait_for(yielded)
        return False

    def _wait_for(self, yielded: Any) -> None:
        if type(yielded) is Reply:  # it resumes the actor in the same turn
            reply = yielded
            reply._asyncio_future_blocking = False  # noqa: SLF001, how a task acknowledges a future
            self._waits_for = reply
            if self.cell is None:
                reply.callback = self._woken
            else:
                reply.waiter = self.cell
            if self._throw is not None:
                reply.cancel()
            return
        if yielded is None:  # asyncio.sleep(0): let the loop go round once
            self._loop.call_soon(self._resume)
            return
        if not getattr(yielded, "_asyncio_future_blocking", False):
            self._throw = RuntimeError(f"a handler awaits {yielded!r}; await futures of asyncio, or refs' replies")
            self._resume()
            return
        yielded._asyncio_future_blocking = False  # noqa: SLF001, how a task acknowledges a future
        self._waits_for = yielded
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
