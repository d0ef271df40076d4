"""Stands for a scheduler on a thread that has none, so that refs work there too.

`tell` needs nobody.  An answer must come to somebody: to the asyncio loop that runs on
that thread, which settles the Reply and wakes the task that awaits it.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from .core.reply import FAILED, WAITING
from .errors import WrongThread

if TYPE_CHECKING:
    from .core.reply import Reply
    from .life import Life

__all__ = ["Outsider"]


class Outsider:
    """The asker of one question from outside the system."""

    __slots__ = ("_home", "_thread", "_timer", "loop")

    def __init__(self, home: Life) -> None:
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongThread(
                f"no asyncio loop runs on {threading.current_thread().name}, so nothing there can await an answer; "
                "use tell, or ask from a coroutine"
            ) from None
        self._home = home
        self._thread = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def host(self) -> Outsider:
        """Where a Reply looks for its loop."""
        return self

    def expect(self, reply: Reply, timeout_us: int) -> None:
        """Fail the question when its time is up."""
        self._timer = self.loop.call_later(timeout_us / 1e6, self._time_out, reply)

    def settle(self, reply: Reply, state: int, value: Any) -> bool:
        """As `Scheduler.settle`, from any thread."""
        if threading.get_ident() == self._thread:
            return self._settle(reply, state, value)
        if reply.state != WAITING or self.loop.is_closed():
            return False
        try:
            self.loop.call_soon_threadsafe(self._settle, reply, state, value)
        except RuntimeError:  # closed this very moment
            return False
        return True

    def _time_out(self, reply: Reply) -> None:
        self._settle(reply, FAILED, self._home.timed_out(reply))

    def _settle(self, reply: Reply, state: int, value: Any) -> bool:
        if reply.state != WAITING:
            return False
        reply.state = state
        reply.value = value
        reply.message = None
        if self._timer is not None:
            self._timer.cancel()
        link, reply.link = reply.link, None
        if link is not None:
            link.scheduler.inbox.abandon(link)
        if reply.callback is not None:
            self.loop.call_soon(reply.callback, reply, context=reply.context)
            reply.callback = None
        return True
