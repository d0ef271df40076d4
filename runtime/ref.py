"""ActorRef: the one thing of an actor that is passed around."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from .core.cell import STOPPED
from .core.handle import Handle
from .messages import StopReason

if TYPE_CHECKING:
    from .core.reply import Reply

__all__ = ["ActorRef"]

M_contra = TypeVar("M_contra", contravariant=True)


class ActorRef(Handle, Generic[M_contra]):
    """An actor that takes messages of type M.

    Where all actors share one loop, every call comes from that loop's thread: from a
    handler, a task or a callback.  In modes with threads, from any thread; one that
    runs none of the system's loops asks from a coroutine of its own loop.
    Equal only to itself; a restart keeps it.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # at run time these are Handle's, which are compiled

        def tell(self, message: M_contra, /) -> None:
            """Put a message into the mailbox.  MailboxFull at once if that is the policy; never waits.

            To an actor that has stopped it is a dead letter, and no error.
            """
            ...

        def ask(self, message: M_contra, *, timeout_s: float = 5.0) -> Reply:
            """Put a question into the mailbox now; await the returned Reply for the answer.

            AskTimedOut, HandlerFailed, AskDropped, ActorStopped, or what the
            handler gave to `reply.fail`; MailboxFull is raised here, at the call.
            """
            ...

        async def send(self, message: M_contra) -> None:
            """As `tell`, but wait for room in a full mailbox, whatever its policy; first come, first served.

            Cancelled while it waits, the message was not sent.
            """
            ...

    @property
    def name(self) -> str:
        """Given at `spawn`, or "$" and a number."""
        return self.cell.label()

    @property
    def path(self) -> str:
        """Names from the top, as in "/session/peer-3"."""
        return self.cell.path()

    @property
    def is_alive(self) -> bool:
        """False once the actor has stopped for good."""
        return self.cell.state != STOPPED

    @property
    def queued(self) -> int:
        """User messages that wait in its mailbox; from another thread, as long as it was when the actor last ran."""
        cell, scheduler = self.cell, self.scheduler
        if scheduler.inbox is not None and scheduler.thread != threading.get_ident():
            return cell.backlog
        box = cell.mailbox
        return 0 if box is None else box.count

    def stop(self) -> None:
        """Ask the actor to stop, ahead of all waiting messages, which become dead letters.

        Its handler in mid-await is cancelled, then its children stop, then its
        tasks, then `on_stop` runs.
        """
        self.scheduler.host.stop(self.cell, StopReason.STOPPED)

    async def wait_stopped(self) -> None:
        """Return when the actor has stopped for good: children ended, `on_stop` done, name free.  At once if it has.

        It asks for nothing: call `stop` first, if nobody else does.  From any thread
        that runs a loop, as `ask`.  Cancelled while it waits, nothing happens.
        """
        await self.scheduler.host.ended(self.cell)

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"
