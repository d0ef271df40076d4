"""The viewer's consent to peers while a command runs: SIGUSR1 withdraws it, SIGUSR2 gives it.

A program that shows the question to its viewer passes the answer on in this way, or
calls `StreamSession.allow_peers`.

A command hears the signals from its first line to its last, so that neither kills it:

    with Wishes() as wishes:
        ...                                 what was wished before there is a session is kept for it
        async with open_session(options) as session, hearing_consent(session, console, wishes):
            ...

The last wish counts.  Each is followed before the next is looked at, and `consent` events
say what became of it.  A session that cannot be told that consent is withdrawn is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import AsyncIterator
from types import FrameType
from typing import Self

from shoal.runtime import ActorError

from ..console import Console
from ..session import StreamSession

__all__ = ["Wishes", "hearing_consent"]

WITHDRAWALS_MAX = 3  # tries, of five seconds each where the session is busy


class Wishes:
    """The signals that come within its `with`, in the main thread.  A wish replaces one that nobody took.

    Afterwards both are ignored: a command that is about to end is not to die of one.  The loop's own handlers
    are of no use here, since removing one brings the default back, if only for a moment.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last: deque[bool] = deque(maxlen=1)  # a signal may come between any two steps of ours
        self._woken = asyncio.Event()

    def __enter__(self) -> Self:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._hear)
            signal.siginterrupt(number, False)  # as the loop's own: calls under way in libraries go on
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._last.append(number == signal.SIGUSR2)
        self._loop.call_soon_threadsafe(self._woken.set)

    def take(self) -> bool | None:
        """What the viewer wished last; None if that was taken before."""
        self._woken.clear()
        with contextlib.suppress(IndexError):
            return self._last.pop()
        return None

    async def wait(self) -> None:
        await self._woken.wait()


@contextlib.asynccontextmanager
async def hearing_consent(session: StreamSession, console: Console, wishes: Wishes) -> AsyncIterator[None]:
    """As long as this lasts, the session is told what is wished; before the block begins, what was wished before.

    ActorError, where consent was withdrawn and the session could not be told: the block is cancelled.
    """
    block = asyncio.current_task()
    assert block is not None, "asynchronous code runs in a task"

    def end(hearing: asyncio.Task[None]) -> None:
        if not hearing.cancelled():
            block.cancel()

    wish = wishes.take()
    if wish is not None:
        await _tell(session, console, wish)
    hearing = asyncio.create_task(_follow(session, console, wishes))
    hearing.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if hearing.done() and not hearing.cancelled():
            block.uncancel()
            hearing.result()
        raise
    finally:
        hearing.remove_done_callback(end)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def _follow(session: StreamSession, console: Console, wishes: Wishes) -> None:
    """Until it is cancelled."""
    while True:
        await wishes.wait()
        wish = wishes.take()
        if wish is not None:
            await _tell(session, console, wish)


async def _tell(session: StreamSession, console: Console, allowed: bool) -> None:
    """ActorError, where it is a withdrawal that failed."""
    tries_left = 1 if allowed else WITHDRAWALS_MAX
    while True:
        tries_left -= 1
        try:
            await session.allow_peers(allowed=allowed)
        except ActorError as error:
            failure = type(error).__name__
            if allowed:
                text = f"the viewer agrees to peers: the session did not hear it ({failure}); say it again"
                console.event("consent", text, failed="given")
                return
            what = "is told again" if tries_left else "is ended"
            text = f"the viewer does not agree to peers: the session did not hear it ({failure}), and {what}"
            console.event("consent", text, failed="withdrawn")
            if not tries_left:
                raise
        else:
            said = "agrees to peers" if allowed else "does not agree to peers: there are none any more"
            console.event("consent", f"the viewer {said}", allowed=allowed)
            return
