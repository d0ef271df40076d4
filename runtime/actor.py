"""What users subclass: one `receive`, or a handler for each type of message, and hooks for the beginning and the end.

    class Greeter(Actor[str]):
        def receive(self, message: str) -> str:
            return f"hello {message}"

A handler (`receive`, or a method marked with `handler`) is a plain function, an
`async def`, or a generator; a plain one may also return a coroutine or a
generator that another method made.  What it returns, or its coroutine or
generator returns, answers an ask.  While it waits
the actor's next message waits too; each `yield` of a generator gives the turn to
other actors.

    spawn    -> __init__(*args, **kwargs) -> on_start
    failure  -> on_stop(RESTARTED) -> a new instance: __init__ -> on_restart(error) -> on_start
    stop     -> children stop, last started first -> tasks are cancelled and awaited -> on_stop(reason)

Messages wait until `on_start` is done, and survive a restart, except the one
whose handler raised.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from .core import methods as _methods
from .dispatch import MessageTable, handlers_of, refuse_async_generators
from .messages import MailboxSettings, StopReason
from .supervision import Restart, Supervision

if TYPE_CHECKING:
    from .core.cell import Cell
    from .core.reply import Reply
    from .drivers.base import TaskHandle
    from .life import Life
    from .ref import ActorRef
    from .system import ActorSystem

__all__ = ["Actor"]

M = TypeVar("M")
N = TypeVar("N")


class Actor(Generic[M]):
    """Base of all actors.  Instances are made by `spawn` only; `self.ref` works from `__init__` on."""

    __slots__ = ("_shoal_ref",)

    supervision: ClassVar[Supervision] = Supervision()  # of this actor's children

    blocking: ClassVar[bool] = False  # its handlers block, or release the GIL: on a thread of its own, where there are

    # Set by `spawn` before __init__; outlives the actor, so that a late callback can still tell.  The name is one
    # that no subclass takes for itself.
    _shoal_ref: ActorRef[M]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_async_generators(cls)
        if handlers_of(cls):
            if "receive" in vars(cls):
                raise TypeError(f"{cls.__name__} has both receive and handlers; keep one of them")
            _refuse_to_hide_receive(cls)
            cls.receive = _dispatching(MessageTable(cls))  # type: ignore[method-assign]

    # what users write

    def receive(self, message: M, /) -> Any:
        """Handle one message."""
        raise NotImplementedError(
            f"{type(self).__name__} has no receive method; define receive(self, message), or mark methods with @handler"
        )

    def on_start(self) -> Any:
        """Called before the first message; may be async.  Raising is a failure."""

    def on_stop(self, reason: StopReason) -> Any:
        """Called when this instance ends for whatever reason, after its children and tasks; may be async."""

    def on_restart(self, error: BaseException) -> None:
        """Called on the new instance, before its `on_start`, with what made the last one fail."""

    # what they use

    if TYPE_CHECKING:

        @property
        def ref(self) -> ActorRef[M]:
            """This actor, for others."""
            ...

    else:
        ref = property(_methods.ref_of, doc="This actor, for others.")

    @property
    def system(self) -> ActorSystem:
        return self._life.system

    @property
    def parent(self) -> ActorRef[Any] | None:
        """Who spawned this actor; None at the top."""
        parent = self._cell.parent
        return None if parent is None else parent.handle

    @property
    def now_us(self) -> int:
        """The driver's monotonic clock."""
        life: Life = _methods.ref_of(self).scheduler.host  # as `_life`, without its call: handlers ask for this often
        return life.now_us()

    if TYPE_CHECKING:  # at run time it is compiled

        def spawn(
            self,
            actor_class: type[Actor[N]],
            *args: Any,
            name: str | None = None,
            mailbox: MailboxSettings | None = None,
            restart: Restart = Restart.TRANSIENT,
            own_scheduler: bool | None = None,
            blocking: bool | None = None,
            weight: float | None = None,
            **kwargs: Any,
        ) -> ActorRef[N]:
            """Start a child: it ends before this actor does.

            `own_scheduler`, `blocking`: whether it gets a thread, where the system's mode
            has them (`modes.py`); by default it shares this actor's, unless its class says `blocking`.
            `weight`, 0.01 to 100, by default 1: one of 4 gets four times the time of one of 1 while both always have
            messages; of an actor with a thread of its own, the thread's too, where threads take turns.  For its life;
            its children have their own.

            Raises what `actor_class(*args, **kwargs)` raises, NameTaken, ValueError for a name or weight that is none;
            ActorStopped when this actor is stopping.
            """
            ...

        def start_timer(
            self,
            key: object,
            message: M,
            *,
            delay_us: int,
            interval_us: int | None = None,
            fixed_delay_us: int | None = None,
        ) -> None:
            """Send this actor `message` after a delay, then again and again if one of the others is given.

            `interval_us` is a fixed rate: deadlines are that far apart, and those
            missed because the loop was late are skipped.  `fixed_delay_us` counts
            from when the message was last sent, however late that was.  A timer of
            the same key is replaced.  Timers end with the instance.
            """
            ...

        def cancel_timer(self, key: object) -> bool:
            """False if there is no such timer.  A message of it that is in the mailbox already still comes."""
            ...

    else:
        start_timer = _methods.start_timer
        cancel_timer = _methods.cancel_timer

    def watch(self, ref: ActorRef[Any]) -> None:
        """Get `Terminated(ref, ...)` when that actor has ended, at once if it has; once, however often asked for.

        Watches are of instances: a restarted one watches again, in its `__init__` or `on_start`.  What is in the
        mailbox already still comes.
        """
        self._life.watch(self._cell, ref.cell, ref)

    def unwatch(self, ref: ActorRef[Any]) -> None:
        """Get none.  One that is in the mailbox already still comes."""
        self._life.unwatch(self._cell, ref.cell)

    def link(self, ref: ActorRef[Any]) -> None:
        """End as that actor does, and it as this one: if either fails the other fails with LinkBroken, if either
        stops the other stops.

        Links are of instances: a restarted one begins without, and links again
        in its `on_start`.  ActorStopped if that actor has stopped.
        """
        self._life.link(self._cell, ref.cell)

    def unlink(self, ref: ActorRef[Any]) -> None:
        self._life.unlink(self._cell, ref.cell)

    def watch_name(self, name: str) -> None:
        """Get `NameChanged(name, ref)` when an actor takes that path, at once if one has it; None as it goes.

        Of several changes that wait for this actor it gets the newest only.
        """
        self._life.watch_name(self._cell, name)

    def unwatch_name(self, name: str) -> None:
        self._life.unwatch_name(self._cell, name)

    def forward(self, ref: ActorRef[N], message: N) -> None:
        """Pass on what is being handled: if it was asked, that actor answers the asker, within the asker's time-out.

        MailboxFull leaves the question with this actor.
        """
        self._life.forward(self._cell, ref.cell, message)

    def unhandled(self, message: M) -> None:
        """Refuse the message being handled: it becomes a dead letter, and its asker gets UnhandledMessage."""
        self._life.unhandled(self._cell, message)

    def stash(self, message: M) -> None:
        """Put the message being handled aside, with its question, for `unstash`.

        StashFull beyond the mailbox's stash_max.  What is put aside survives a restart, which unstashes it.
        """
        self._life.stash(self._cell, message)

    def unstash(self) -> int:
        """Let all that was put aside come next, in its old order, ahead of what waits; how many there were."""
        return self._life.unstash(self._cell)

    def become(self, behaviour: Callable[[M], Any], *, stacked: bool = False) -> None:
        """Have `behaviour` handle messages from the next on, as `receive` would.  A restart forgets it.

        With `stacked`, `unbecome` goes back to the present one; otherwise it takes the present one's place.
        """
        self._life.become(self._cell, behaviour, stacked=stacked)

    def unbecome(self) -> None:
        """Go back to the behaviour below, which is `receive` in the end."""
        self._life.unbecome(self._cell)

    def take_reply(self) -> Reply:
        """Take over the answer to the question being handled: what `receive` returns no longer answers it.

        NotHandlingAsk if there is none.  A reply that is never set lets the
        asker's time-out decide.
        """
        ref = _methods.ref_of(self)
        life: Life = ref.scheduler.host
        return life.take_reply(ref.cell)

    def start_task(self, coroutine: Coroutine[Any, Any, object], *, name: str | None = None) -> TaskHandle:
        """Run a coroutine beside this actor's handlers.

        It is cancelled and awaited when this instance ends; an exception in it
        fails the actor as a handler's would.
        """
        return self._life.start_task(self._cell, coroutine, name)

    def stop(self) -> None:
        """End after the current message.  A permanent actor starts again."""
        self._life.stop_self(self._cell)

    @property
    def _life(self) -> Life:
        life: Life = _methods.ref_of(self).scheduler.host
        return life

    @property
    def _cell(self) -> Cell:
        cell: Cell = _methods.ref_of(self).cell
        return cell


def _dispatching(table: MessageTable) -> Callable[[Actor[Any], Any], Any]:
    """A `receive` that goes by the type of message."""
    find = table.find

    def receive(self: Actor[Any], message: Any) -> Any:
        function = find(type(message))
        if function is None:
            return self.unhandled(message)
        return function(self, message)

    receive.made_of_handlers = True  # type: ignore[attr-defined]
    return receive


def _refuse_to_hide_receive(cls: type[Any]) -> None:
    """TypeError if a base has a `receive` of its own, which would never be called again."""
    for base in cls.__mro__[1:]:
        if base is Actor:
            return
        receive = vars(base).get("receive")
        if receive is not None and not hasattr(receive, "made_of_handlers"):
            raise TypeError(
                f"{cls.__name__} has handlers, and its base {base.__name__} a receive, which they would take the place "
                f"of; override receive, or call it from a handler of a class that is no {base.__name__}"
            )


if not TYPE_CHECKING:
    Actor.spawn = _methods.spawn_method(Actor)

# An actor without hooks of its own starts without a turn: `life` looks for this mark.
Actor.on_start.is_hook_of_base = True  # type: ignore[attr-defined]
Actor.on_stop.is_hook_of_base = True  # type: ignore[attr-defined]
