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
        "_name",
        "_on_done",
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
        self._name: str | None = None
        self._on_done: list[Any] | None = None  # (callback, context) of whoever waits for this coroutine's end

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
                    self._is_over()
                    self.value = self._end[0]
                    self._end[0] = None
                    return True
        except StopIteration as stop:  # from `throw`
            self._is_over()
            self.value = stop.value
            return True
        except BaseException:
            self._is_over()
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

    def _is_over(self) -> None:
        self._coroutine = None
        if self._on_done is not None:
            waiting, self._on_done = self._on_done, None
            for callback, context in waiting:
                self._loop.call_soon(callback, self, context=context)

    # what others may ask of a task; that of underscores is what anyio asks, and with it httpx

    def cancel(self, msg: object = None) -> bool:
        if self._coroutine is None:
            return False
        self._cancels += 1
        # The message says who cancels, and whose it is to catch: anyio knows its own by it.
        error = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        if self._waits_for is not None and self._waits_for.cancel(msg=msg):
            return True
        self._throw = error
        return True

    def abandon(self) -> None:
        """Close the coroutine wherever it stands."""
        coroutine = self._coroutine
        self._is_over()
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
        if self._name is None:
            return "shoal handler" if self.cell is None else f"shoal {self.cell.path()}"
        return self._name

    def set_name(self, value: object) -> None:
        self._name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        frame = getattr(self._coroutine, "cr_frame", None)
        return [] if frame is None else [frame]

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Any = None) -> None:
        """Called soon after the coroutine that runs now has ended; at once soon if none does."""
        context = contextvars.copy_context() if context is None else context
        if self._coroutine is None:
            self._loop.call_soon(callback, self, context=context)
        elif self._on_done is None:
            self._on_done = [(callback, context)]
        else:
            self._on_done.append((callback, context))

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        before = self._on_done or []
        left = [(other, context) for other, context in before if other != callback]
        self._on_done = left or None
        return len(before) - len(left)

    @property
    def _fut_waiter(self) -> Any:
        return self._waits_for

    @property
    def _must_cancel(self) -> bool:
        return isinstance(self._throw, asyncio.CancelledError)

    @_must_cancel.setter
    def _must_cancel(self, value: bool) -> None:
        if not value and isinstance(self._throw, asyncio.CancelledError):
            self._throw = None
