"""Ending a command from outside, in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

__all__ = ["until_stopped"]


async def until_stopped(work: Coroutine[Any, Any, None] | None = None) -> bool:
    """Run `work` until it ends or SIGINT or SIGTERM comes; whether one came.

    The signals are caught before `work` begins, so that a command can be told to
    stop the moment it has said that it is ready.  `work` is cancelled and awaited;
    without any, this waits for a signal.  What `work` raises is raised here.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work if work is not None else asyncio.Event().wait())
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return stopped
