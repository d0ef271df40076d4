"""The life-cycle: how actors begin.  `ending.py` is how they end, `failing.py` what becomes of failures.

What happens to a cell comes here as a signal, ahead of all messages, or from
the scheduler when something raised.  Nothing here is called for an ordinary
message.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .belongings import belongings_of
from .core.cell import STARTING, STATE_NAMES, STOPPED, STOPPING, Cell
from .ending import on_go_on_signal
from .errors import ActorStopped, SystemNotRunning
from .failing import Failing
from .ground import Handler
from .messages import MailboxSettings, StopReason
from .ref import ActorRef
from .supervision import Directive, Restart

if TYPE_CHECKING:
    from .actor import Actor
    from .drivers.base import Driver

__all__ = ["Life"]

_NAME_LENGTH_MAX = 200  # names are part of log lines
# Beside one of the heaviest, one of the lightest waits for 10,000 slices, half a second, between two of its own.
_WEIGHT_MIN, _WEIGHT_MAX = 0.01, 100.0


class Life(Failing):
    """One system's life-cycle; the scheduler's host."""

    # beginning

    def spawn_child(
        self,
        parent: Cell,
        actor_class: type[Actor[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: tuple[str | None, MailboxSettings | None, Restart | None, bool | None, bool | None, float | None],
    ) -> ActorRef[Any]:
        """What `spawn` does where its own short way does not go: here, or on a thread of its own.

        `options`: name, mailbox, restart, own_scheduler, blocking and weight, as `Actor.spawn` has them.
        """
        name, mailbox, restart, own_scheduler, blocking, weight = options
        hundredths = _hundredths(weight)
        crew = self.crew
        if crew is not None:
            crew.check_thread(self)
            is_blocking = actor_class.blocking if blocking is None else blocking
            is_top = parent.parent is None
            if crew.plan.wants_thread(is_top=is_top, own_scheduler=own_scheduler, blocking=is_blocking):
                return crew.spawn(
                    self,
                    parent,
                    actor_class,
                    args,
                    kwargs,
                    name=name,
                    mailbox=mailbox,
                    restart=restart or Restart.TRANSIENT,
                    takes_turns=not is_blocking,
                    weight=hundredths,
                )
        return self.spawn(
            parent, actor_class, args, kwargs, name=name, mailbox=mailbox, restart=restart, weight=hundredths
        )

    def spawn(
        self,
        parent: Cell,
        actor_class: type[Actor[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        name: str | None = None,
        mailbox: MailboxSettings | None = None,
        restart: Restart | None = None,
        weight: int = 0,
    ) -> ActorRef[Any]:
        """An actor on this thread.  `core.birth` does the same, shorter, for those with every default."""
        if parent.state in (STOPPING, STOPPED):
            raise ActorStopped(f"{parent.path()} is {STATE_NAMES[parent.state]} and can have no new children")
        if self._driver is None:
            raise SystemNotRunning("the system has not started; spawn inside its `async with` block")
        if name is not None and not _is_name(name):
            raise ValueError(f"actor name {name!r}; use 1 to {_NAME_LENGTH_MAX} characters without / and not $ first")
        spawner = self.spawner
        if name is None:
            spawner.serial += 1
        cell = spawner.begin(
            parent, name, mailbox or spawner.mailbox, (actor_class, args, kwargs, restart or Restart.TRANSIENT)
        )
        cell.weight = weight
        ref: ActorRef[Any] = cell.handle
        if name is not None:
            self.registry.add(ref.path, ref)
        spawner.adopt(parent, cell)
        try:
            self._make(cell)
        except BaseException:
            self.failed_to_begin(cell)
            raise
        if spawner.kind_of(actor_class).has_on_start:
            self.scheduler.signal(cell, (_on_start_signal, None))
        else:
            self.scheduler.activate(cell)
        return ref

    def start(self, driver: Driver) -> None:
        super().start(driver)
        self.spawner.start_signal = (_on_start_signal, None)
        self._open_spawner()

    def observe(self, instrument: Callable[[Cell, Handler], Handler]) -> None:
        """Have the handlers of actors that begin from now on wrapped by `instrument`."""
        self.instrument = instrument
        self._open_spawner()

    def _open_spawner(self) -> None:
        """Whether `core.birth` may make actors by itself: it knows of no observers, and of one thread."""
        is_bare = type(self)._make is Life._make
        self.spawner.is_open = is_bare and self.instrument is None and self.crew is None

    def failed_to_begin(self, cell: Cell) -> None:
        """Its `__init__` raised: it never was."""
        self.begin_end(cell, StopReason.FAILED)

    def _make(self, cell: Cell) -> Any:
        recipe = cell.recipe
        actor_class, args, kwargs = (recipe[0], recipe[1], recipe[2]) if type(recipe) is tuple else (recipe, (), {})
        self.spawner.make(cell, self.spawner.kind_of(actor_class), args, kwargs)
        cell.function = self.handler_function(cell, cell.function)
        return cell.actor

    def start_again(self, cell: Cell) -> None:
        self.unstash(cell)
        self.scheduler.signal(cell, (_on_start_signal, None))

    def start_instance(self, cell: Cell) -> None:
        """The instance is made or remade: run its hooks, then its messages."""
        if cell.state != STARTING:
            return
        try:
            actor = cell.actor
            if actor is None:
                actor = self._make(cell)
                belongings = belongings_of(cell)
                if belongings.error is not None:
                    error, belongings.error = belongings.error, None
                    actor.on_restart(error)
            self.run_hook(cell, actor.on_start())
        except BaseException as raised:  # the supervisor decides
            self.failed(cell, raised, None)
            return
        if cell.continuation is None:
            self.scheduler.activate(cell)
            self.has_started(cell)

    def run_hook(self, cell: Cell, result: Any) -> None:
        """Let what an async hook returned run in turns; others are done."""
        if type(result) is CoroutineType:
            cell.fiber = cell.fiber or self.fiber(cell)
            cell.fiber.begin(result)
            cell.continuation = cell.fiber
            self.scheduler.resume(cell)

    # signals

    def signalled(self, cell: Cell) -> None:
        # Those that were there: what one of them leads to, such as a restart, has a turn of its own.
        signals, cell.signals = cell.signals, None
        for action, value in signals or ():
            if cell.state != STOPPED:
                action(self, cell, value)

    def finished(self, cell: Cell) -> None:
        if cell.state == STARTING:
            self.scheduler.activate(cell)
            self.has_started(cell)
            return
        belongings = belongings_of(cell)
        if belongings.is_in_handler:
            belongings.is_in_handler = False
            self.scheduler.cut_short(cell, is_handled=True)
            cell.message = None
            self.refuse_answer(cell)
        self.go_on_ending(cell)

    def task_ended(self, cell: Cell, error: BaseException | None) -> None:
        if error is not None:
            self.scheduler.signal(cell, (_on_task_failed_signal, error))
        elif cell.state == STOPPING:
            self.scheduler.signal(cell, (on_go_on_signal, None))


def _on_start_signal(life: Life, cell: Cell, _: Any) -> None:
    life.start_instance(cell)


def _on_task_failed_signal(life: Life, cell: Cell, error: BaseException) -> None:
    if cell.state == STOPPING:
        life.report(cell, error, "task", "", Directive.STOP)
        life.go_on_ending(cell)
    else:
        life.supervise(cell, error, "task", "")


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_LENGTH_MAX and "/" not in name and not name.startswith("$")


def _hundredths(weight: float | None) -> int:
    """The weight as a cell has it.  ValueError for one that is none."""
    if weight is None:
        return 0
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not _WEIGHT_MIN <= weight <= _WEIGHT_MAX:
        raise ValueError(
            f"weight is {weight!r}; give a number, {_WEIGHT_MIN:g} to {_WEIGHT_MAX:g}, where actors without one have 1"
        )
    hundredths = round(weight * 100)
    return 0 if hundredths == 100 else hundredths
