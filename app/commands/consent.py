"""The viewer's consent to peers while a command runs: SIGUSR1 withdraws it, SIGUSR2 gives it.

A program that shows the question to its viewer passes the answer on in this way, or
calls `StreamSession.allow_peers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

from ..console import Console
from ..session import StreamSession

__all__ = ["hearing_consent"]


@contextlib.asynccontextmanager
async def hearing_consent(session: StreamSession, console: Console) -> AsyncIterator[None]:
    """As long as this lasts, the two signals are heard."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    async def allow(allowed: bool) -> None:
        await session.allow_peers(allowed=allowed)
        said = "agrees to peers" if allowed else "does not agree to peers: there are none any more"
        console.event("consent", f"the viewer {said}", allowed=allowed)

    def hear(allowed: bool) -> None:
        task = loop.create_task(allow(allowed))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGUSR1, hear, False)
    loop.add_signal_handler(signal.SIGUSR2, hear, True)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
        loop.remove_signal_handler(signal.SIGUSR2)
        await asyncio.gather(*tasks, return_exceptions=True)
