"""One question and its answer: what rides in the mailbox, what the handler answers, what the asker awaits.

    waiting -> answered     the handler returned, or `set` was called
            -> failed       `fail` was called, the handler crashed, time is up, or nobody is there to answer
            -> abandoned    the asker was cancelled

The three ends are final: an answer that comes later is counted and dropped, and
`set` and `fail` say so by returning False.

It is awaited from tasks and from handlers alike, since it speaks the protocol
by which an asyncio task waits for a future (`_asyncio_future_blocking`,
`get_loop`, `add_done_callback`, `result`, `cancel`) without being one.  It is
awaited once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import Context
from typing import TYPE_CHECKING, Any

from . import stops as _stops

if TYPE_CHECKING:
    from .cell import Cell
    from .timers import Timer

__all__ = ["Reply", "new_reply"]

WAITING = 0
ANSWERED = 1
FAILED = 2
ABANDONED = 3

_FAILED = FAILED


class Reply:
    """The answer to one question, still to come or not."""

    __slots__ = (
        "_asyncio_future_blocking",
        "callback",
        "cell",
        "context",
        "is_hasty",
        "is_question",
        "link",
        "message",
        "scheduler",
        "state",
        "timer",
        "value",
        "waiter",
    )

    def __init__(self, scheduler: Any, cell: Cell | None, message: Any) -> None:
        self.scheduler = scheduler
        self.cell = cell  # who was asked
        self.message = message
        self.is_question = True  # in a mailbox; a Reply that was taken out of one may travel as a message itself
        self.is_hasty = False  # asked by a task in whose step the scheduler may run actors
        self.state = 0
        self.value: Any = None  # the answer, or the error
        self.timer: Timer | None = None
        self.link: Reply | None = None  # where the actor asked has a thread of its own: what was sent there
        self.waiter: Any = None  # the cell whose handler awaits this
        self.callback: Callable[[Any], object] | None = None  # or the step of the task that does
        self.context: Context | None = None
        self._asyncio_future_blocking: bool | None = None  # None while nobody awaits: asyncio.isfuture says no

    @property
    def is_waiting(self) -> bool:
        """False once answered, timed out, or when the asker went away: work for it can be spared."""
        return self.state == 0

    def set(self, value: Any) -> bool:
        """Answer.  False when it is too late."""
        return bool(self.scheduler.settle(self, ANSWERED, value))

    def fail(self, error: BaseException) -> bool:
        """Let the asker's `await` raise `error`.  False when it is too late."""
        return bool(self.scheduler.settle(self, FAILED, error))

    def __await__(self) -> Generator[Any, None, Any]:
        return self  # type: ignore[return-value]  # it has the generator's methods that await uses

    def __iter__(self) -> Reply:
        return self

    def __next__(self) -> Reply:
        if self.is_hasty:
            self.is_hasty = False
            self.scheduler.hasten(self)
        if self.state != 0:
            self._asyncio_future_blocking = None
            if self.state == _FAILED:
                raise self.value
            _stops.stop_with(self.value)
            raise StopIteration
        if self._asyncio_future_blocking is not None:
            raise RuntimeError("this reply is awaited already; wrap it in a task to await it twice")
        self._asyncio_future_blocking = True
        return self

    def send(self, value: object) -> Reply:
        """As a generator's: what `yield from` calls."""
        return self.__next__()

    def throw(self, error: BaseException, *args: object) -> Reply:
        """As a generator's: an error (a cancellation) that reaches the asker while it waits here."""
        if self.state == 0:
            self.scheduler.settle(self, ABANDONED, None)
        raise error

    def close(self) -> None:
        """As a generator's: the asker is gone."""
        if self.state == 0:
            self.scheduler.settle(self, ABANDONED, None)

    def done(self) -> bool:
        return self.state != 0

    def result(self) -> Any:
        """The answer; raises what `fail` was given."""
        if self.state == _FAILED:
            error: BaseException = self.value
            raise error
        return self.value

    def get_loop(self) -> Any:
        return self.scheduler.host.loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        self.callback = callback
        self.context = context

    def cancel(self, msg: object = None) -> bool:
        """The awaiting task is being cancelled.

        False, although the wait does end: told so, the task raises its own
        CancelledError at its next step, which this has brought about.
        """
        self.scheduler.settle(self, ABANDONED, None)
        return False


def new_reply(scheduler: Any, cell: Cell, message: Any) -> Reply:
    """A `Reply` to a question; as the class called, at a third of its price where this is compiled."""
    reply = Reply.__new__(Reply)
    reply.scheduler = scheduler
    reply.cell = cell
    reply.message = message
    reply.is_question = True
    reply.is_hasty = False
    reply.state = 0
    reply.value = None
    reply.timer = None
    reply.link = None
    reply.waiter = None
    reply.callback = None
    reply.context = None
    reply._asyncio_future_blocking = None  # noqa: SLF001
    return reply
