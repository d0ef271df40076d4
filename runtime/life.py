"""The life-cycle: how actors begin.  `ending.py` is how they end, `failing.py` what becomes of failures.

What happens to a cell comes here as a signal, ahead of all messages, or from
the scheduler when something raised.  Nothing here is called for an ordinary
message.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .belongings import belongings_of
from .core.birth import Kind, begin, make
from .core.cell import STARTING, STATE_NAMES, STOPPED, STOPPING, Cell
from .ending import on_go_on_signal
from .errors import ActorStopped, SystemNotRunning
from .failing import Failing
from .ground import is_overridden
from .messages import MailboxSettings, StopReason
from .ref import ActorRef
from .supervision import Directive, Restart

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Life"]

_NAME_LENGTH_MAX = 200  # names are part of log lines
_KINDS_MAX = 1024  # actor classes remembered; a program that makes classes as it runs must not fill memory


class Life(Failing):
    """One system's life-cycle; the scheduler's host."""

    _is_bare = True  # instances are made by `_make` as it is here, which `core.birth` does faster

    # beginning

    def spawn(
        self,
        parent: Cell,
        actor_class: type[Actor[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        name: str | None,
        mailbox: MailboxSettings | None,
        restart: Restart,
    ) -> ActorRef[Any]:
        if parent.state in (STOPPING, STOPPED):
            raise ActorStopped(f"{parent.path()} is {STATE_NAMES[parent.state]} and can have no new children")
        if self._driver is None:
            raise SystemNotRunning("the system has not started; spawn inside its `async with` block")
        if name is not None and not _is_name(name):
            raise ValueError(f"actor name {name!r}; use 1 to {_NAME_LENGTH_MAX} characters without / and not $ first")
        if name is None:
            self._serial += 1
        recipe: Any = actor_class  # the usual case needs no tuple of its own
        if args or kwargs or restart is not Restart.TRANSIENT:
            recipe = (actor_class, args, kwargs, restart)
        cell = begin(self.scheduler, self._ref_class, parent, name, self._serial, mailbox or self._mailbox, recipe)
        ref: ActorRef[Any] = cell.handle
        if name is not None:
            self.registry.add(ref.path, ref)
        parent.adopt(cell)
        self._actors += 1
        kind = self._kinds.get(actor_class)
        if kind is None:
            kind = self._look_into(actor_class)
        try:
            if self._is_bare and self.instrument is None:
                make(cell, kind, args, kwargs)
            else:
                self._make(cell)
        except BaseException:
            self.begin_end(cell, StopReason.FAILED)
            raise
        if kind.has_on_start:
            self.scheduler.signal(cell, (_on_start_signal, None))
        elif cell.state == STARTING:
            self.scheduler.activate(cell)
        return ref

    def __init_subclass__(cls) -> None:
        cls._is_bare = cls._make is Life._make

    def _look_into(self, actor_class: type[Actor[Any]]) -> Kind:
        if len(self._kinds) >= _KINDS_MAX:
            self._kinds.clear()
        kind = Kind(actor_class, is_overridden(actor_class, "on_start"))
        self._kinds[actor_class] = kind
        return kind

    def _make(self, cell: Cell) -> Any:
        recipe = cell.recipe
        actor_class = recipe[0] if type(recipe) is tuple else recipe
        actor = actor_class.__new__(actor_class)
        actor._ref = cell.handle  # noqa: SLF001, before __init__, so that self.ref works there
        if type(recipe) is tuple:
            actor.__init__(*recipe[1], **recipe[2])
        else:
            actor.__init__()
        cell.actor = actor
        cell.function = self.handler_function(cell, actor_class.receive)
        return actor

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
        while cell.signals:
            action, value = cell.signals.popleft()
            if cell.state != STOPPED:
                action(self, cell, value)
        cell.signals = None

    def finished(self, cell: Cell) -> None:
        if cell.state == STARTING:
            self.scheduler.activate(cell)
            self.has_started(cell)
            return
        belongings = belongings_of(cell)
        if belongings.is_in_handler:
            belongings.is_in_handler = False
            self.scheduler.handled += 1
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
