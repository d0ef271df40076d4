"""The sending end of an actor, as it runs; `runtime/ref.py` says to type checkers, and to readers, what it takes.

One compiled class, without a subclass in Python: the interpreter calls its methods
by a shorter way then.
"""

from __future__ import annotations

import threading as _threads
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from .cell import STOPPED
from .cell import queued as _queued

if TYPE_CHECKING:
    from .cell import Cell
    from .reply import Reply
    from .scheduler import Scheduler

__all__ = ["ActorRef", "ref_to"]

_STOPPED = STOPPED
_LONGEST_S = 1e9  # 31 years, which 64 bits of microseconds hold


def _microseconds(seconds: float) -> int:
    if -_LONGEST_S < seconds < _LONGEST_S:
        return int(seconds * 1e6)
    raise ValueError(f"timeout_s is {seconds}; give seconds, at most {_LONGEST_S:.0e}")


class ActorRef:
    """An actor that takes messages of one type: what is passed around, kept, and told things."""

    __slots__ = ("__weakref__", "_cell", "_scheduler")

    __class_getitem__: Any = classmethod(GenericAlias)  # ActorRef[Message], in annotations

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise TypeError("refs are not made by hand: `spawn` returns that of a new actor, `system.find` that of a name")

    def _belong(self, scheduler: Scheduler, cell: Cell) -> None:
        """What makes it a ref, once."""
        self._scheduler = scheduler
        self._cell = cell

    @property
    def cell(self) -> Cell:
        """For the runtime itself."""
        if self._cell is None:
            raise _of_nobody()
        return self._cell

    @property
    def scheduler(self) -> Scheduler:
        """For the runtime itself."""
        return self._scheduler

    def tell(self, message: Any, /) -> None:
        """Put a message into the mailbox; MailboxFull at once if that is the policy."""
        if self._scheduler is None:  # made by `__new__`; compiled code would ask None for its fields
            raise _of_nobody()
        self._scheduler.post(self._cell, message)

    def ask(self, message: Any, *, timeout_s: float = 5.0) -> Reply:
        """Put a question into the mailbox; await the Reply for the answer."""
        if self._scheduler is None:
            raise _of_nobody()
        if timeout_s is None:
            raise _endless()
        return self._scheduler.ask(self._cell, message, _microseconds(timeout_s))

    def tell_urgent(self, message: Any, /) -> None:
        """As `tell`, ahead of all that are not urgent."""
        if self._scheduler is None:
            raise _of_nobody()
        self._scheduler.post_urgent(self._cell, message)

    def ask_urgent(self, message: Any, *, timeout_s: float = 5.0) -> Reply:
        """As `ask`, ahead of all that are not urgent."""
        if self._scheduler is None:
            raise _of_nobody()
        if timeout_s is None:
            raise _endless()
        return self._scheduler.ask_urgent(self._cell, message, _microseconds(timeout_s))

    async def send(self, message: Any) -> None:
        """As `tell`, but wait for room."""
        if self._scheduler is None:
            raise _of_nobody()
        reply = self._scheduler.send(self._cell, message)
        if reply is not None:
            await reply

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
        if self._cell is None:
            raise _of_nobody()
        return self._cell.state != _STOPPED

    @property
    def queued(self) -> int:
        """Messages of users that wait in its mailbox, without urgent ones.

        From another thread, as many as there were when the actor last ran.
        """
        scheduler = self._scheduler
        if scheduler is None:
            raise _of_nobody()
        if scheduler.inbox is not None and scheduler.thread != _threads.get_ident():
            return self._cell.backlog
        return _queued(self._cell)

    def stop(self) -> None:
        """Ask the actor to stop, ahead of all waiting messages."""
        if self._scheduler is None:
            raise _of_nobody()
        self._scheduler.host.stop(self._cell, None)

    async def wait_stopped(self) -> None:
        """Return when the actor has stopped for good."""
        if self._scheduler is None:
            raise _of_nobody()
        await self._scheduler.host.ended(self._cell)

    def __copy__(self) -> ActorRef:
        return self

    def __deepcopy__(self, memo: object) -> ActorRef:
        """Itself: a copy of a message, as `dataclasses.asdict` makes, names the same actor."""
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self.path} cannot be pickled: an actor is in one process; pickle its path, and `system.find` it there"
        )

    def __repr__(self) -> str:
        return "<ActorRef of nobody>" if self._cell is None else f"<ActorRef {self.path}>"


def _of_nobody() -> TypeError:
    return TypeError("this ActorRef was made by hand and belongs to no actor; use one that `spawn` or `find` returned")


def _endless() -> TypeError:
    return TypeError("timeout_s is None, and every question has an end; give seconds, 5.0 if nothing is said")


def ref_to(scheduler: Scheduler, cell: Cell) -> Any:
    """Another ref, for who has none: equal to no other."""
    ref = ActorRef.__new__(ActorRef)
    ref._belong(scheduler, cell)  # noqa: SLF001
    return ref
