"""What an actor has besides a mailbox: timers, tasks, watches, links, a stash, a history of failures.

Most actors have none, so the record is made on first use (`belongings_of`) and
a cell without one costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .core.cell import Cell
from .core.timers import TimerOwner
from .messages import StopReason
from .supervision import GroupRestart, RestartHistory

if TYPE_CHECKING:
    from .core.reply import Reply
    from .core.scheduler import Scheduler
    from .core.timers import Timer
    from .drivers.base import TaskHandle
    from .streams import Subscription

__all__ = ["Belongings", "Comeback", "belongings_of", "comeback_of"]


class Comeback:
    """What its supervisor remembers of a child that was restarted."""

    __slots__ = ("attempt", "delay_us", "history", "restarts", "started_us", "timer")

    def __init__(self) -> None:
        self.restarts = 0
        self.attempt = 0  # in a row, for the back-off
        self.started_us = 0  # when this instance began
        self.delay_us = 0  # before the next instance begins
        self.timer: Timer | None = None  # which runs while the actor waits for that
        self.history = RestartHistory()  # for supervision that counts each child by itself


class Belongings(TimerOwner):
    """All of it lives as long as the actor, except what is said to be of the instance, timers and tasks."""

    __slots__ = (
        "behaviours",
        "children_history",
        "comeback",
        "error",
        "group",
        "group_timer",
        "is_escalating",
        "is_in_handler",
        "is_parked",
        "is_restarting",
        "is_stop_hook_done",
        "links",
        "names",
        "reason",
        "stash",
        "tasks",
        "watched_by",
        "watches",
        "when_ended",
    )

    def __init__(self) -> None:
        super().__init__()
        # What its start_task began, and whether it was told to end.
        self.tasks: dict[TaskHandle, bool] | None = None
        # With the scheduler of each, or None for one on this thread; dicts: sets have no order, and runs must repeat.
        self.watches: dict[Cell, Scheduler | None] | None = None  # of the present instance
        self.watched_by: dict[Cell, Scheduler | None] | None = None
        self.stash: deque[Any] | None = None  # messages, and Replies with questions in them, put aside
        self.comeback: Comeback | None = None
        # As a supervisor.
        self.children_history: RestartHistory | None = None
        self.group: GroupRestart[Cell] | None = None
        self.group_timer: Timer | None = None  # the back-off of the group
        self.names: dict[str, Subscription[Any]] | None = None  # that are watched
        self.when_ended: list[Reply] | None = None  # of `system.stop` and `ref.wait_stopped`
        # Of the present instance.
        self.links: dict[Cell, None] | None = None
        self.behaviours: list[Callable[[Any, Any], Any]] | None = None  # what `unbecome` goes back to
        # How the present instance ends.
        self.reason = StopReason.STOPPED
        self.error: BaseException | None = None
        self.is_restarting = False
        self.is_escalating = False
        self.is_in_handler = False  # the stop overtook a suspended handler, which is being cancelled
        self.is_stop_hook_done = False
        self.is_parked = False  # all has ended, and the next instance is to come

    def begin_instance(self) -> None:
        """Forget how the last instance ended, and what was its own."""
        self.reason = StopReason.STOPPED
        self.is_restarting = False
        self.is_escalating = False
        self.is_in_handler = False
        self.is_stop_hook_done = False
        self.is_parked = False
        self.behaviours = None
        self.children_history = None
        self.group = None


def belongings_of(cell: Cell) -> Belongings:
    """The cell's record, made if there is none."""
    if cell.extras is None:
        cell.extras = Belongings()
    belongings: Belongings = cell.extras
    return belongings


def comeback_of(cell: Cell) -> Comeback:
    """The record of the cell's restarts, made if there is none."""
    belongings = belongings_of(cell)
    if belongings.comeback is None:
        belongings.comeback = Comeback()
    return belongings.comeback
