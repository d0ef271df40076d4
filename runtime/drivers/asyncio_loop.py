"""Driver for asyncio's event loops, uvloop among them.

One `call_soon` for each turn, one `call_at` for the nearest deadline: never a
task or a callback for each message.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from shoal.runtime.errors import WrongThread

from .asyncio_fiber import AsyncioFiber
from .interlude import Interlude

if TYPE_CHECKING:
    from shoal.runtime.statistics import LoopDelay

__all__ = ["AsyncioDriver"]


class AsyncioDriver:
    """Runs one system on one running asyncio loop."""

    __slots__ = (
        "_context",
        "_deadline_us",
        "_interrupted",
        "_is_awake",
        "_is_closed",
        "_owner",
        "_sampler",
        "_thread",
        "_timer",
        "_turn",
        "is_real_time",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop if loop is not None else asyncio.get_running_loop()
        # A loop with a clock of its own, as in tests, must be asked for the time always.
        kind = type(self.loop)
        self.is_real_time = kind.__module__.startswith("uvloop") or kind.time is asyncio.BaseEventLoop.time
        self._turn: Callable[[], None] | None = None
        self._is_awake = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_us = -1
        self._sampler: asyncio.TimerHandle | None = None
        self._owner: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._context = contextvars.copy_context()  # for all turns: not that of whoever happened to send something
        self._thread = threading.get_ident()

    def start(self, turn: Callable[[], None]) -> None:
        self._turn = turn
        self._owner = asyncio.current_task()

    def now_us(self) -> int:
        return int(self.loop.time() * 1e6)

    def wake(self) -> None:
        if not self._is_awake and not self._is_closed:
            if threading.get_ident() != self._thread:
                self.wake_from_afar()  # what was put there is there, and must not wait for somebody else's message
                raise WrongThread(
                    "an actor was told, asked or stopped from a thread that is not its system's, which is not safe; "
                    "use loop.call_soon_threadsafe(ref.tell, message), or ActorSystem(mode='threaded')"
                )
            self._is_awake = True
            self.loop.call_soon(self._run, context=self._context)

    def wake_from_afar(self) -> None:
        """As `wake`, from any thread; about 5 us here, and one turn of the loop there."""
        try:
            self.loop.call_soon_threadsafe(self._run_unless_awake, context=self._context)
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
        self._timer = self.loop.call_at((deadline_us + 1) / 1e6, self._run_timer, context=self._context)

    def fiber(self, resume: Callable[[], None]) -> AsyncioFiber:
        return AsyncioFiber(self.loop, resume)

    def interlude(self) -> Interlude:
        return Interlude(self.loop)

    def start_task(
        self, coroutine: Coroutine[Any, Any, object], name: str, on_end: Callable[[BaseException | None], None]
    ) -> asyncio.Task[object]:
        exits: list[SystemExit] = []
        task = self.loop.create_task(_held(coroutine, exits), name=name)

        def ended(done: asyncio.Task[object]) -> None:
            coroutine.close()  # one that was cancelled before its first step never began
            error = None if done.cancelled() else done.exception()
            on_end(exits[0] if exits else error)

        task.add_done_callback(ended)
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


async def _held(coroutine: Coroutine[Any, Any, object], exits: list[SystemExit]) -> object:
    """What it returns.  A SystemExit, which asyncio would pass through its loop to the program, goes to `exits`."""
    try:
        return await coroutine
    except SystemExit as error:
        exits.append(error)
        return None
