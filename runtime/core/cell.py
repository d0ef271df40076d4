"""One actor's life, and what the scheduler needs to know of it.

    state       from                            what runs
    starting    spawn, or a restart             on_start; messages wait
    running     starting, suspended             handlers, one message at a time
    suspended   running                         an async or generator handler in mid-way; messages wait
    stopping    starting, running, suspended    children end, tasks end, on_stop; then a restart, or the end
    stopped     stopping                        nothing; messages become dead letters

A cell is a row of data.  Who changes it: the scheduler between running and
suspended, the life-cycle (`runtime/life.py`) everywhere else.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from . import roots as _roots

if TYPE_CHECKING:
    from .mailbox import Mailbox
    from .reply import Reply
    from .stats import Stats

__all__ = [
    "RUNNING",
    "STARTING",
    "STATE_NAMES",
    "STOPPED",
    "STOPPING",
    "SUSPENDED",
    "Cell",
    "adopt",
    "begin",
    "disown",
    "queued",
]

STARTING = 0
RUNNING = 1
SUSPENDED = 2
STOPPING = 3
STOPPED = 4

STATE_NAMES = ("starting", "running", "suspended", "stopping", "stopped")


class Cell:
    """One actor.  Kept small: what most actors never use is in `extras`, made when first needed."""

    __slots__ = (
        "actor",
        "backlog",
        "continuation",
        "extras",
        "fiber",
        "function",
        "handle",
        "in_flight",
        "is_open",
        "is_ready",
        "is_resumable",
        "is_scheduled",
        "is_signalled",
        "last_child",
        "mailbox",
        "message",
        "name",
        "next_sibling",
        "only_message",
        "order",
        "parent",
        "previous_sibling",
        "recipe",
        "reply",
        "serial",
        "settings",
        "signals",
        "state",
        "stats",
        "virtual_ns",
        "weight",
    )

    def __init__(self, parent: Cell | None, name: str | None, serial: int, settings: Any, recipe: Any) -> None:
        begin(self, parent, name, settings, recipe)
        self.serial = serial

    def _blank(self) -> None:
        """What compiled code makes a new object of."""
        self.state = 0
        self.is_open = False  # takes messages; True from its beginning until the actor ends for good
        # A new message need not queue this cell: it is queued, running, or waiting for something else.
        self.is_scheduled = False
        self.is_ready = False  # in the heap of ready cells, where its virtual_ns and order may not change
        self.is_signalled = False  # in the queue of cells with signals
        self.is_resumable = False  # the continuation can go on
        self.weight = 0  # in hundredths; 0 is 1.00, so that a cell without one has nothing to be multiplied by
        self.virtual_ns = 0  # run time charged so far, by its weight; the scheduler runs whoever has least
        self.order = 0  # breaks ties of virtual_ns
        self.in_flight = 0  # messages on the way from other threads; under the inbox's lock
        self.backlog = 0  # length of the mailbox as those threads see it
        self.function: Any = None  # called with (actor, message): no bound method to keep for each actor
        self.actor: Any = None
        self.handle: Any = None  # the ActorRef
        self.only_message: Any = None  # the one that waits, while no other does: most actors need no mailbox
        self.mailbox: Mailbox | None = None  # of those that have more; then there is no `only_message`
        self.signals: deque[Any] | None = None  # the life-cycle's own messages: stop, child ended, task failed
        self.continuation: Any = None  # a generator, or a fiber with a coroutine in it
        self.fiber: Any = None
        self.reply: Reply | None = None  # to the ask being handled, until it is answered or taken
        self.message: Any = None  # the one in handling, while suspended
        self.last_child: Cell | None = None
        self.previous_sibling: Cell | None = None
        self.next_sibling: Cell | None = None
        self.settings: Any = None  # MailboxSettings, shared
        self.parent: Cell | None = None
        self.name: str | None = None  # None: "$" and the serial number, put together when asked for
        self.serial = 0
        self.recipe: Any = None  # how to make the actor again; `life` knows its shapes
        self.extras: Any = None
        self.stats: Stats | None = None  # only if metrics are on

    def children(self) -> list[Cell]:
        """The last started first, which is the order of stopping."""
        found: list[Cell] = []
        child = self.last_child
        while child is not None:
            found.append(child)
            child = child.previous_sibling
        return found

    def path(self) -> str:
        """Names from the top, as in "/session/peer-3"."""
        names: list[str] = []
        cell = self
        while cell.parent is not None:
            names.append(cell.label())
            cell = cell.parent
        # A root has no name, unless its tree hangs below an actor of another thread.
        return (cell.name or "") + "/" + "/".join(reversed(names))

    def label(self) -> str:
        """The name, or what stands for it."""
        return self.name if self.name is not None else f"${self.serial}"


# Functions, since a compiled class with methods to call from C has a pointer to a table of them in each instance.


def begin(cell: Cell, parent: Cell | None, name: str | None, settings: Any, recipe: Any) -> None:
    """What `__init__` does but for the number, which compiled code calls at a third of the price."""
    if not _roots.IS_BLANK:
        cell._blank()  # noqa: SLF001
    cell.is_open = True
    cell.is_scheduled = True  # until it runs
    cell.settings = settings
    cell.parent = parent
    cell.name = name
    cell.recipe = recipe


def queued(cell: Cell) -> int:
    """User messages that wait."""
    if cell.only_message is not None:
        return 1
    return 0 if cell.mailbox is None else cell.mailbox.count


def adopt(parent: Cell, child: Cell) -> None:
    """Put a child behind those that started before it."""
    child.previous_sibling = parent.last_child
    if parent.last_child is not None:
        parent.last_child.next_sibling = child
    parent.last_child = child


def disown(parent: Cell, child: Cell) -> None:
    """Forget a child, wherever in the row it stands.  Constant time."""
    if child.next_sibling is None:
        parent.last_child = child.previous_sibling
    else:
        child.next_sibling.previous_sibling = child.previous_sibling
    if child.previous_sibling is not None:
        child.previous_sibling.next_sibling = child.next_sibling
    child.previous_sibling = None
    child.next_sibling = None
