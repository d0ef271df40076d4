"""The sending end of an actor, without types; `ActorRef` adds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cell import Cell
    from .reply import Reply
    from .scheduler import Scheduler

__all__ = ["Handle"]


class Handle:
    """May be kept and passed around for ever; the actor behind it comes and goes."""

    __slots__ = ("__weakref__", "_cell", "_scheduler")

    def __init__(self, scheduler: Scheduler, cell: Cell) -> None:
        self._scheduler = scheduler
        self._cell = cell

    @property
    def cell(self) -> Cell:
        """For the runtime itself."""
        return self._cell

    @property
    def scheduler(self) -> Scheduler:
        """For the runtime itself."""
        return self._scheduler

    def tell(self, message: Any, /) -> None:
        self._scheduler.post(self._cell, message)

    def ask(self, message: Any, *, timeout_s: float = 5.0) -> Reply:
        return self._scheduler.ask(self._cell, message, int(timeout_s * 1e6))

    async def send(self, message: Any) -> None:
        reply = self._scheduler.send(self._cell, message)
        if reply is not None:
            await reply
