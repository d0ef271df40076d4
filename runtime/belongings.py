"""What an actor has besides a mailbox: timers, tasks, watches, a history of failures.

Most actors have none, so the record is made on first use (`belongings_of`) and
a cell without one costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.cell import Cell
from .messages import StopReason
from .supervision import FailureHistory

if TYPE_CHECKING:
    from .core.reply import Reply
    from .core.timers import Timer
    from .drivers.base import TaskHandle

__all__ = ["Belongings", "belongings_of"]


class Belongings:
    """All of it lives as long as the actor, except timers and tasks, which live as long as the instance."""

    __slots__ = (
        "error",
        "history",
        "is_escalating",
        "is_in_handler",
        "is_restarting",
        "is_stop_hook_done",
        "reason",
        "tasks",
        "timers",
        "watched_by",
        "watches",
        "when_ended",
    )

    def __init__(self) -> None:
        self.timers: dict[object, Timer] | None = None
        # What its start_task began, and whether it was told to end.
        self.tasks: dict[TaskHandle, bool] | None = None
        self.watches: dict[Cell, None] | None = None  # dicts, because sets have no order and runs must repeat
        self.watched_by: dict[Cell, None] | None = None
        self.history: FailureHistory | None = None
        self.when_ended: list[Reply] | None = None  # of `system.stop`
        # How the present instance ends.
        self.reason = StopReason.STOPPED
        self.error: BaseException | None = None
        self.is_restarting = False
        self.is_escalating = False
        self.is_in_handler = False  # the stop overtook a suspended handler, which is being cancelled
        self.is_stop_hook_done = False

    def begin_instance(self) -> None:
        """Forget how the last instance ended."""
        self.reason = StopReason.STOPPED
        self.is_restarting = False
        self.is_escalating = False
        self.is_in_handler = False
        self.is_stop_hook_done = False


def belongings_of(cell: Cell) -> Belongings:
    """The cell's record, made if there is none."""
    if cell.extras is None:
        cell.extras = Belongings()
    belongings: Belongings = cell.extras
    return belongings
