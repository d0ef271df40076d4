"""What can go wrong with actors.

    ActorError
    ├── MailboxFull          slow down, `send` instead of `tell`, or choose another overflow policy
    ├── ActorStopped         nobody is there any more; `tell` makes a dead letter of it instead
    ├── NameTaken            a living sibling has that name
    ├── NotHandlingAsk       `take_reply` where no question is being handled
    ├── NotInHand            `stash` or `unhandled` of what is not the message being handled, or for the second time
    ├── StashFull            too many messages are put aside: unstash, or raise stash_max
    ├── BehaviourLimit       too many behaviours are stacked by `become`
    ├── NotAvailable         what was asked for cannot be had here; the message says what can
    │   └── ThreadsUnavailable    this platform has no threads; mode="auto" does without
    ├── LinkBroken           an actor that this one is linked with failed; this one fails with it
    ├── SystemNotRunning     the `async with ActorSystem()` block has not begun, or is over
    ├── WrongThread          a call that belongs to the system's own thread; tell, ask and send work from any
    ├── HandlerBlocked       a handler still held its thread when the system's time to stop was up
    ├── AskError
    │   ├── AskTimedOut      no answer in time; one that still comes is dropped and counted
    │   ├── AskDropped       the question was dropped by the mailbox's overflow policy
    │   ├── UnhandledMessage the actor has no handler for messages of that type
    │   ├── NoRoutee         the router has no living routee with room
    │   └── HandlerFailed    the handler raised; `__cause__` is what it raised
    └── ChildFailed          a child failed more often than its supervision allows; the parent fails with it

An answer that is an error, given by `reply.fail(error)`, is raised as it is.
"""

from __future__ import annotations

__all__ = [
    "ActorError",
    "ActorStopped",
    "AskDropped",
    "AskError",
    "AskTimedOut",
    "BehaviourLimit",
    "ChildFailed",
    "HandlerBlocked",
    "HandlerFailed",
    "LinkBroken",
    "MailboxFull",
    "NameTaken",
    "NoRoutee",
    "NotAvailable",
    "NotHandlingAsk",
    "NotInHand",
    "StashFull",
    "SystemNotRunning",
    "ThreadsUnavailable",
    "UnhandledMessage",
    "WrongThread",
]


class ActorError(Exception):
    """Something went wrong with actors."""


class MailboxFull(ActorError):
    """The mailbox is at its limit, `messages_max`, or at that for urgent messages; the message was not taken."""

    def __init__(self, message: str, *, path: str, messages_max: int) -> None:
        super().__init__(message)
        self.path = path
        self.messages_max = messages_max


class ActorStopped(ActorError):
    """The actor asked, or told to do something, has stopped."""


class NameTaken(ActorError):
    """A living sibling has that name."""


class NotHandlingAsk(ActorError):
    """There is no question to answer: the message came by `tell`, or its reply was taken before."""


class NotInHand(ActorError):
    """`stash` and `unhandled` take the message that is being handled, and take it once."""


class StashFull(ActorError):
    """The actor has put as many messages aside as it may."""


class BehaviourLimit(ActorError):
    """As many behaviours as may be are stacked."""


class NotAvailable(ActorError):
    """What was asked for cannot be had here: on this platform, of this actor, or without a package."""


class LinkBroken(ActorError):
    """An actor that is linked with this one failed; `__cause__` is its error."""


class SystemNotRunning(ActorError):
    """The system has not started, is stopping, or has stopped."""


class ThreadsUnavailable(NotAvailable):
    """Threads were asked for where there are none."""


class WrongThread(ActorError):
    """The call belongs to another thread."""


class HandlerBlocked(ActorError):
    """A handler held its thread beyond the deadline of the stop; the thread was left behind.

    `path` and `message_type` say who and on what, `stack` where; "" what is not known.
    """

    def __init__(self, message: str, *, path: str, message_type: str, stack: str) -> None:
        super().__init__(message)
        self.path = path
        self.message_type = message_type
        self.stack = stack


class AskError(ActorError):
    """A question got no answer."""


class AskTimedOut(AskError, TimeoutError):
    """No answer came in time."""


class AskDropped(AskError):
    """The question was dropped by the mailbox's overflow policy."""


class UnhandledMessage(AskError):
    """The actor has no handler for messages of that type; the question is a dead letter."""


class NoRoutee(AskError):
    """No routee of the router lives and has room; the question is a dead letter."""


class HandlerFailed(AskError):
    """The handler raised; `__cause__` is what it raised."""


class ChildFailed(ActorError):
    """A child failed more often than its supervision allows; `__cause__` is its last error."""
