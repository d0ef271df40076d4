"""What the runtime itself says: to actors as messages, to observers as events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from .core.mailbox import Overflow

if TYPE_CHECKING:
    from .ref import ActorRef
    from .supervision import Directive

__all__ = ["DeadLetter", "DeadLetterReason", "Failure", "MailboxSettings", "NameChanged", "StopReason", "Terminated"]


@dataclass(frozen=True, slots=True)
class MailboxSettings:
    """How many messages of users may wait for an actor, and what happens to the next.

    An urgent one too many is MailboxFull, whatever `overflow` says: it can neither wait nor be missed.
    """

    messages_max: int = 1024  # a handler of 10 us is then at most 10 ms behind
    overflow: Overflow = Overflow.FAIL
    stash_max: int = 256  # messages that the actor may put aside besides
    urgent_max: int = 64  # urgent messages besides: 10 us each, and the last is 0.6 ms behind

    def __post_init__(self) -> None:
        if self.messages_max < 1:
            raise ValueError(f"messages_max is {self.messages_max}; a mailbox needs room for at least 1 message")
        if self.stash_max < 0:
            raise ValueError(f"stash_max is {self.stash_max}; use 0 or more")
        if self.urgent_max < 0:
            raise ValueError(f"urgent_max is {self.urgent_max}; use 0, which takes none, or more")


class StopReason(Enum):
    """Why an actor, or one instance of it, ended."""

    STOPPED = "stopped"  # somebody asked it to, or it did itself
    FAILED = "failed"  # it raised, and is not restarted
    RESTARTED = "restarted"  # it or a sibling raised; another instance takes its place (only `on_stop` sees this)
    SIBLING = "sibling"  # a sibling raised, their strategy ends this one too, and it is temporary
    LINKED = "linked"  # an actor linked with it stopped
    PARENT = "parent"  # its parent stopped or restarted
    SYSTEM = "system"  # the system stopped


@dataclass(frozen=True, slots=True)
class Terminated:
    """An actor that was watched has ended.  It arrives ahead of all user messages."""

    ref: ActorRef[Any]
    reason: StopReason
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class NameChanged:
    """A name that is watched was given to an actor, or became free (None); of those that wait only the newest comes."""

    name: str
    ref: ActorRef[Any] | None


class DeadLetterReason(Enum):
    """Why nobody will handle a message."""

    STOPPED = "stopped"  # the actor has ended, or ended before its turn came
    DROPPED_NEWEST = "dropped_newest"
    DROPPED_OLDEST = "dropped_oldest"
    TIMER_REFUSED = "timer_refused"  # a timer's message met a full mailbox
    UNHANDLED = "unhandled"  # the actor has no handler for it
    SUPERSEDED = "superseded"  # a newer NameChanged of that name took its place in the mailbox
    NO_ROUTEE = "no_routee"  # no routee of the router lives and has room


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody will handle."""

    ref: ActorRef[Any]
    message: Any
    reason: DeadLetterReason


@dataclass(frozen=True, slots=True)
class Failure:
    """A handler, hook or task of an actor raised."""

    ref: ActorRef[Any]
    path: str
    message_type: str  # of the message in handling; "" outside of one
    where: str  # "receive", "on_start", "on_stop", "task", "child" or "link"
    error: BaseException
    directive: Directive
