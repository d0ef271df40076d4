"""ActorRef: the one thing of an actor that is passed around."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["ActorRef"]

if TYPE_CHECKING:
    from typing import Generic, TypeVar

    from .core.ref import ActorRef as _ActorRef
    from .core.reply import Reply

    M_contra = TypeVar("M_contra", contravariant=True)

    class ActorRef(_ActorRef, Generic[M_contra]):
        """An actor that takes messages of type M.

        Where all actors share one loop, every call comes from that loop's thread: from a
        handler, a task or a callback.  In modes with threads, from any thread; one that
        runs none of the system's loops asks from a coroutine of its own loop.
        Equal only to itself; a restart keeps it.
        """

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

        def tell_urgent(self, message: M_contra, /) -> None:
            """As `tell`, ahead of all messages that are not urgent; and the actor runs ahead of others that are busy.

            Within bounds: one message in nine is not urgent while such wait, others keep half of each turn, and what an
            actor has had ahead of time it has less later.  MailboxFull if `urgent_max` wait (`MailboxSettings`).
            """
            ...

        def ask_urgent(self, message: M_contra, *, timeout_s: float = 5.0) -> Reply:
            """As `ask`, by `tell_urgent`."""
            ...

        async def send(self, message: M_contra) -> None:
            """As `tell`, but wait for room in a full mailbox, whatever its policy; first come, first served.

            Cancelled while it waits, the message was not sent.
            """
            ...

        def stop(self) -> None:
            """Ask the actor to stop, ahead of all waiting messages, which become dead letters.

            Its handler in mid-await is cancelled, then its children stop, then its
            tasks, then `on_stop` runs.
            """
            ...

        async def wait_stopped(self) -> None:
            """Return when the actor has stopped for good, at once if it has: children ended, `on_stop` done, name free.

            It asks for nothing: call `stop` first, if nobody else does.  From any thread
            that runs a loop, as `ask`.  Cancelled while it waits, nothing happens.
            """
            ...

else:
    from .core.ref import ActorRef
