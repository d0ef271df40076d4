"""What the core asks of the runtime around it: everything that is rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .cell import Cell
    from .reply import Reply
    from .timers import Timer

__all__ = ["Chooser", "Fiber", "Host", "Interlude"]


class Chooser(Protocol):
    """Decides who runs next, in a simulation."""

    def choose(self, signalled: Sequence[Cell], ready: Sequence[Cell]) -> int:
        """The place, in `signalled` followed by `ready`, of the one to run.  There are at least two."""
        ...


class Fiber(Protocol):
    """Runs one coroutine of one actor after another."""

    value: Any  # what the last coroutine returned

    def begin(self, coroutine: Any) -> None:
        """Take a coroutine; nothing of it runs yet."""
        ...

    def step(self) -> bool:
        """Run it until it waits or ends: True at its end.  Raises what it raises."""
        ...

    def cancel(self, msg: object = None) -> bool:
        """Raise CancelledError where the coroutine waits, at its next step."""
        ...


class Interlude(Protocol):
    """Lets actors run in the middle of a task's step (`drivers/interlude.py`)."""

    def step_begins(self) -> None: ...

    def begin(self, context: Any) -> bool: ...

    def end(self, context: Any) -> None: ...


class Host(Protocol):
    """Called by the scheduler.  None of these may wait; only `refused` and `spawn_child` may raise."""

    loop: Any  # the event loop, for tasks that await a Reply; None where there is none

    def wake(self) -> None:
        """There is work: call `turn` soon.  Not called again before that."""
        ...

    def now_us(self) -> int: ...

    def fiber(self, cell: Cell) -> Fiber: ...

    def signalled(self, cell: Cell) -> None:
        """Work through `cell.signals`."""
        ...

    def failed(self, cell: Cell, error: BaseException, message: Any) -> None:
        """A handler or a life-cycle hook raised."""
        ...

    def finished(self, cell: Cell) -> None:
        """The continuation of a life-cycle hook, or of a handler that was overtaken by the stop, has ended."""
        ...

    def stop(self, cell: Cell, reason: Any) -> None:
        """Have the cell end."""
        ...

    def spawn_child(
        self, parent: Cell, actor_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: tuple[Any, ...]
    ) -> Any:
        """Start a child with options of its own, or where the spawner may not: its ref.  May raise."""
        ...

    def failed_to_begin(self, cell: Cell) -> None:
        """A new actor's `__init__` raised."""
        ...

    def ended(self, cell: Cell) -> Reply:
        """The Reply that comes, to the caller's thread, when the cell has ended for good."""
        ...

    def refused(self, cell: Cell, *, is_urgent: bool = False) -> None:
        """Raise MailboxFull: there is no room, or none for urgent messages."""
        ...

    def dead_letter(self, cell: Cell, item: Any, reason: str) -> None: ...

    def timed_out(self, reply: Reply) -> BaseException:
        """The error for an asker whose time is up."""
        ...

    def fired(self, timer: Timer) -> None:
        """A timer that is no ask's time-out."""
        ...
