"""A new actor: its cell, its ref and its instance, without asking its class anything twice.

`Spawner` is the part of the life-cycle that every spawn pays for.  It makes an
actor itself where nothing is out of the ordinary, and leaves the rest to the
life-cycle (`host.spawn_child`): names, mailboxes of their own, threads, recorded
and instrumented actors.

An actor is rooted while it lives: the system holds it, so the garbage collector
need not look at its cell, its ref and its instance (`roots.py`).  What ends leaves
nothing in the cell that could be part of a cycle, so compiled cells are never its
business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import roots as _roots
from .cell import RUNNING, STARTING, Cell, adopt, begin

if TYPE_CHECKING:
    from .scheduler import Scheduler

__all__ = ["Kind", "Spawner", "unroot", "unroot_ref"]

_RUNNING = RUNNING
_STARTING = STARTING
_KINDS_MAX = 1024  # actor classes remembered; a program that makes classes as it runs must not fill memory


class Kind:
    """An actor class, looked into once."""

    __slots__ = ("actor_class", "function", "has_init", "has_on_start", "has_on_stop", "is_plain", "place_of_ref")

    def __init__(self, actor_class: Any) -> None:
        self.actor_class = actor_class
        self.function: Any = actor_class.receive
        self.place_of_ref = _roots.place_of_ref(actor_class)
        self.has_init = actor_class.__init__ is not object.__init__
        is_bare = actor_class.__new__ is object.__new__ and not getattr(actor_class, "__abstractmethods__", None)
        self.is_plain = is_bare and not self.has_init and self.place_of_ref > 0  # nothing of it can raise
        self.has_on_start = not hasattr(actor_class.on_start, "is_hook_of_base")
        self.has_on_stop = not hasattr(actor_class.on_stop, "is_hook_of_base")


class Spawner:
    """Makes the actors of one scheduler, and counts them."""

    __slots__ = (
        "_kinds",
        "_last_kind",
        "actors",
        "default_restart",
        "host",
        "is_open",
        "mailbox",
        "ref_class",
        "scheduler",
        "serial",
        "start_signal",
    )

    def __init__(self, scheduler: Scheduler, ref_class: Any, mailbox: Any, default_restart: Any) -> None:
        self.host: Any = scheduler.host
        self.scheduler = scheduler
        self.ref_class = ref_class
        self.mailbox = mailbox  # MailboxSettings of actors that are given none
        self.start_signal: Any = None  # has `on_start` called, in a turn
        self.default_restart = default_restart
        self.is_open = False  # whether actors may be made here; else every spawn is the host's
        self.actors = 0
        self.serial = 0
        self._kinds: dict[Any, Kind] = {}
        self._last_kind: Kind | None = None  # who spawns many spawns many of a kind

    def spawn(self, parent: Cell, actor_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        """An actor without a name, with every default.  Raises what its `__init__` raises."""
        kind = self._last_kind
        if kind is None or kind.actor_class is not actor_class:
            kind = self.kind_of(actor_class)
        recipe = actor_class  # the usual case needs no tuple of its own
        if args or kwargs:
            recipe = (actor_class, args, kwargs or {}, self.default_restart)
        self.serial += 1
        cell = self.begin(parent, None, self.mailbox, recipe)
        self.actors += 1
        adopt(parent, cell)
        if recipe is actor_class and kind.is_plain:  # as `make`, without what such an actor does not need
            actor = _roots.create(actor_class)
            _roots.give_ref(actor, kind.place_of_ref, cell.handle)
            _roots.root(actor)
            cell.actor = actor
            cell.function = kind.function
        else:
            self._make_or_end(cell, kind, args, kwargs)
        if cell.state == _STARTING:
            if kind.has_on_start:
                self.scheduler.signal(cell, self.start_signal)
            elif cell.mailbox is None and cell.only_message is None:
                cell.state = _RUNNING
                cell.is_scheduled = False
            else:  # its `__init__` told it something
                self.scheduler.activate(cell)
        return cell.handle

    def _make_or_end(self, cell: Cell, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> None:
        try:
            self.make(cell, kind, args, kwargs)
        except BaseException:
            self.host.failed_to_begin(cell)
            raise

    def begin(self, parent: Cell, name: Any, mailbox: Any, recipe: Any) -> Cell:
        """A cell with its ref; no instance yet, and no place among its parent's children."""
        cell = Cell.__new__(Cell)
        begin(cell, parent, name, mailbox, recipe)
        cell.serial = self.serial
        handle = _roots.create(self.ref_class)
        handle._scheduler = self.scheduler  # noqa: SLF001, as its __init__ does
        handle._cell = cell  # noqa: SLF001
        _roots.root(handle)
        cell.handle = handle
        return cell

    def adopt(self, parent: Cell, cell: Cell) -> None:
        """It counts, from now on until its end."""
        adopt(parent, cell)
        self.actors += 1

    def kind_of(self, actor_class: Any) -> Kind:
        """What was found of the class when it was first seen."""
        kind = self._last_kind
        if kind is not None and kind.actor_class is actor_class:
            return kind
        kind = self._kinds.get(actor_class)
        if kind is None:
            if len(self._kinds) >= _KINDS_MAX:
                self._kinds.clear()
            kind = self._kinds[actor_class] = Kind(actor_class)
        self._last_kind = kind
        return kind

    def make(self, cell: Cell, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> None:
        """The instance."""
        actor = _roots.create(kind.actor_class)
        _roots.give_ref(actor, kind.place_of_ref, cell.handle)  # before __init__, so that self.ref works there
        if kind.has_init or args or kwargs:
            actor.__init__(*args, **(kwargs or {}))
        _roots.root(actor)
        cell.actor = actor
        cell.function = kind.function


def unroot(cell: Cell) -> None:
    """The cell lets go of its instance: the collector may look at it again."""
    if cell.actor is not None:
        _roots.unroot(cell.actor)
        cell.actor = None


def unroot_ref(cell: Cell) -> None:
    """The same of its ref, when it ends for good."""
    handle = cell.handle
    cell.handle = None
    if handle is not None and handle._cell is cell:  # noqa: SLF001, the root of a branch has that of its parent
        _roots.unroot(handle)
