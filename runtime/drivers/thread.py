"""Driver for a scheduler that is one of several, each on a thread of its own.

The loop is asyncio's, or whatever the system's loop is; beyond `AsyncioDriver` it takes
turns with the other threads, where that helps (`turns.py`), and has no task that
could be interrupted: what would end the program is for the system's own thread to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.runtime.turns import Ticket

from .asyncio_loop import AsyncioDriver

if TYPE_CHECKING:
    from shoal.runtime.turns import Turns

__all__ = ["ThreadDriver"]


class ThreadDriver(AsyncioDriver):
    """Runs one of a system's schedulers on the running loop."""

    __slots__ = ("_on_interrupt", "_ticket", "_turns")

    def __init__(self, turns: Turns | None, on_interrupt: Callable[[], None] | None = None) -> None:
        super().__init__(asyncio.get_running_loop())
        self._turns = turns
        self._ticket = Ticket()
        self._on_interrupt = on_interrupt

    def interrupt(self) -> None:
        if self._on_interrupt is None:
            super().interrupt()
        else:
            self._on_interrupt()

    def _run(self) -> None:
        turns = self._turns
        if turns is None:
            super()._run()
            return
        turns.take(self._ticket)
        try:
            super()._run()
        finally:
            turns.hand_on(self._ticket)
