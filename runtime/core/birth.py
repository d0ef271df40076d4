"""A new actor's cell, ref and instance, without asking its class anything twice.

`Kind` holds what spawning needs to know of an actor class.  The life-cycle keeps
one for each class and decides whether an actor may be made at all; what is here
is the part that every spawn pays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cell import RUNNING, STARTING, Cell

if TYPE_CHECKING:
    from .scheduler import Scheduler

__all__ = ["Kind", "begin", "make"]

_RUNNING = RUNNING
_STARTING = STARTING


class Kind:
    """An actor class, looked into once."""

    __slots__ = ("actor_class", "create", "function", "has_init", "has_on_start")

    def __init__(self, actor_class: Any, has_on_start: bool) -> None:
        self.actor_class = actor_class
        self.create: Any = actor_class.__new__
        self.function: Any = actor_class.receive
        self.has_init = actor_class.__init__ is not object.__init__
        self.has_on_start = has_on_start


def begin(  # noqa: PLR0917, C functions take what they take by position
    scheduler: Scheduler, ref_class: Any, parent: Cell, name: Any, serial: int, settings: Any, recipe: Any
) -> Cell:
    """A cell with its ref; no instance yet."""
    cell = Cell(parent, name, serial, settings, recipe)
    cell.handle = ref_class(scheduler, cell)
    return cell


def make(cell: Cell, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """The instance.  Raises what its `__init__` raises; a class without `on_start` runs from now on."""
    actor = kind.create(kind.actor_class)
    actor._ref = cell.handle  # noqa: SLF001, before __init__, so that self.ref works there
    if kind.has_init or args or kwargs:
        actor.__init__(*args, **kwargs)
    cell.actor = actor
    cell.function = kind.function
    if not kind.has_on_start and cell.state == _STARTING and cell.mailbox is None:
        cell.state = _RUNNING
        cell.is_scheduled = False
