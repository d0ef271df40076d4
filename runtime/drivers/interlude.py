"""Actors run in the middle of a task's step, as if the task had been suspended.

A task that asks and awaits the answer would be suspended by asyncio, the actor
run, and the task resumed: two thirds of the price of an ask.  When it was woken
in a turn of the scheduler, that turn can go on from within the task's `await`
instead, until its budget is spent.

To the actors nothing differs: the task is not asyncio's current task, and its
context is not the current one, while they run.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task as enter  # documented under "Extending asyncio"
from asyncio.tasks import _leave_task as leave
from contextvars import Context
from typing import Any

from . import contexts as _contexts

__all__ = ["Interlude"]


class Interlude:
    """Takes the current task off the stage and puts it back, any number of times in one of its steps."""

    __slots__ = ("_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: Any = None

    def step_begins(self) -> None:
        """The task that is stepped from here on is another one."""
        self._task = None

    def begin(self, context: Context) -> bool:
        """Leave the task and its context.  False, and nothing has changed, where that cannot be done."""
        if not _contexts.leave(context):  # uncompiled code never can; nor can anybody in a context within this one
            return False
        if self._task is None:
            self._task = asyncio.current_task(self._loop)
            if self._task is None:
                _contexts.enter(context)
                return False
        leave(self._loop, self._task)
        return True

    def end(self, context: Context) -> None:
        """Go back to where `begin` was called."""
        enter(self._loop, self._task)
        _contexts.enter(context)
